/**
 * What every subject of the `http` suite answers with.
 */

/** The body of the text subjects. */
export const helloText = "hello"

/** One line of stock. */
export interface StockView {
  readonly sku: string
  readonly name: string
  readonly price: number
  readonly left: number
}

/** What the JSON subjects answer with: built and serialized anew for each request. */
export const stockOf = (sku: string, taken = 0): StockView => ({
  sku,
  name: "Blue kettle, 1.7 l",
  price: 2995,
  left: 40 - taken,
})

/** The port a subject's process was told to listen on: its first argument. */
export const portOf = (): number => Number(Deno.args[0])
