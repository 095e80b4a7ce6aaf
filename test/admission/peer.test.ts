import { expect, it } from "@effect/vitest"
import { network } from "../../src/admission/peer.ts"

const cases: ReadonlyArray<readonly [string, string]> = [
  ["192.0.2.1", "192.0.2.1"],
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["::FFFF:192.0.2.1", "192.0.2.1"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
  ["2001:DB8:1:2::1", "2001:db8:1:2"],
  ["2001:0db8:0001:0002:0000::6", "2001:db8:1:2"],
  ["2001:db8::1", "2001:db8:0:0"],
  ["::1", "0:0:0:0"],
  ["::", "0:0:0:0"],
  ["fe80::1%eth0", "fe80:0:0:0"],
  ["64:ff9b::192.0.2.1", "64:ff9b:0:0"],
  ["1:2:3:4:5:6:7::", "1:2:3:4"],
]

for (const [address, expected] of cases) {
  it(`${address} counts as ${expected}`, () => {
    expect(network(address)).toBe(expected)
  })
}
