/**
 * An invented catalogue and an invented year of orders. The same seed gives the same shop on any
 * machine and any PostgreSQL: the numbers come from here, not from the database.
 *
 * @module
 */
import { categories } from "./Model.ts"

export interface Options {
  readonly seed: number
  readonly products: number
  readonly orders: number
}

/** The shop that `deno task start` opens. */
export const defaults: Options = { seed: 2025, products: 12_000, orders: 24_000 }

/** The orders of the past all lie in this year, so that its report never changes. */
export const year = 2025

export interface SeedProduct {
  readonly id: number
  readonly sku: string
  readonly name: string
  readonly category: string
  readonly description: string
  readonly priceCents: number
  readonly stock: number
}

export interface SeedOrder {
  readonly id: number
  readonly customer: string
  readonly placedAt: string
  readonly totalCents: number
  readonly lines: ReadonlyArray<
    { readonly productId: number; readonly quantity: number; readonly priceCents: number }
  >
}

/** The products, in order of id. */
export function* products(options: Options): Generator<SeedProduct> {
  const random = generator(options.seed)
  for (let id = 1; id <= options.products; id++) {
    const category = pick(random, categories)
    const [material, style, thing] = [
      pick(random, materials),
      pick(random, styles),
      pick(random, things[category]),
    ]
    yield {
      id,
      sku: `${category.slice(0, 3).toUpperCase()}-${String(id).padStart(6, "0")}`,
      name: `${capital(style)} ${material} ${thing}`,
      category,
      description: `A ${style} ${thing} of ${material}, ${pick(random, makers)}. ${
        capital(pick(random, promises))
      }.`,
      // Many cheap things, few dear ones: 1.90 to 2,000.00, always ending in .90 or .00.
      priceCents: (2 + Math.floor(1_999 * power(random(), 4))) * 100 - (random() < 0.7 ? 10 : 0),
      stock: Math.floor(random() * 500),
    }
  }
}

/** The orders, in order of id and of time; some products sell far more than others. */
export function* orders(
  options: Options,
  catalogue: ReadonlyArray<SeedProduct>,
): Generator<SeedOrder> {
  const random = generator(options.seed + 1)
  const start = Date.UTC(year, 0, 1)
  const step = (Date.UTC(year + 1, 0, 1) - start) / options.orders
  const customers = Math.max(1, Math.floor(options.orders / 3))
  for (let id = 1; id <= options.orders; id++) {
    const lines = new Map<number, SeedOrder["lines"][number]>()
    for (let wanted = 1 + Math.floor(random() * 9); wanted > 0; wanted--) {
      const product = catalogue[Math.floor(catalogue.length * power(random(), 3))]!
      lines.set(product.id, {
        productId: product.id,
        quantity: 1 + Math.floor(power(random(), 3) * 5),
        priceCents: product.priceCents,
      })
    }
    const n = Math.floor(customers * power(random(), 2))
    const all = [...lines.values()]
    yield {
      id,
      customer: `${people[n % people.length]} ${n}`,
      placedAt: new Date(start + Math.floor(step * (id - 1 + random()))).toISOString(),
      totalCents: all.reduce((sum, line) => sum + line.quantity * line.priceCents, 0),
      lines: all,
    }
  }
}

/** Mulberry32: 32 bits of state, the same sequence everywhere, good enough to invent a shop. */
const generator = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
}

/** Multiplication is exact to the bit everywhere; `**` need not be. */
const power = (x: number, n: number): number => n === 1 ? x : x * power(x, n - 1)

const pick = <A>(random: () => number, from: ReadonlyArray<A>): A =>
  from[Math.floor(random() * from.length)]!

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1)

const words = (text: string): ReadonlyArray<string> => text.split(" ")

const materials = words(
  "oak walnut ash birch bamboo steel brass copper linen cotton wool felt leather cork glass " +
    "ceramic marble slate canvas paper recycled-plastic aluminium hemp rattan",
)
const styles = words(
  "plain folding stackable compact tall low wide narrow hand-made vintage modern rustic quiet " +
    "sturdy light heavy round square curved foldable portable modular adjustable classic",
)
const makers = [
  "made in a small workshop",
  "designed for daily use",
  "finished by hand",
  "built from certified sources",
  "tested for ten years of use",
  "assembled without tools",
]
const promises = [
  "spare parts are kept for twelve years",
  "cleans with a damp cloth",
  "comes flat-packed",
  "repaired free of charge in the first five years",
  "needs no glue and no screws",
  "each piece is a little different",
]
const people = words(
  "Ada Alan Barbara Carl Dana Edsger Frances Grace Hedy Ivan Joan Ken Leslie Margaret Niklaus " +
    "Ole Peter Radia Sophie Tony",
)
const things: Record<typeof categories[number], ReadonlyArray<string>> = {
  audio: words("speaker headphones turntable amplifier radio microphone"),
  bath: words("towel-rail mirror soap-dish bath-mat basket stool"),
  books: words("atlas cookbook novel dictionary notebook bookend"),
  desk: words("desk chair lamp-arm monitor-stand pen-tray drawer"),
  garden: words("planter trellis watering-can bench lantern hammock"),
  kitchen: words("kettle teapot bowl knife chopping-board pan"),
  lighting: words("lamp pendant sconce candle-holder lampshade spotlight"),
  outdoor: words("tent backpack stove flask picnic-blanket cool-box"),
  storage: words("shelf cabinet box crate hook wardrobe"),
  textile: words("blanket cushion curtain rug tablecloth throw"),
  tools: words("hammer saw plane clamp spirit-level toolbox"),
  toys: words("puzzle kite train rocking-horse marble-run spinning-top"),
}
