import { expect, it } from "@effect/vitest"
import { usersOfTheDatabase } from "./second_pass.ts"

const files: Record<string, string> = {
  "test/store/Direct.test.ts": `import * as Database from "../support/database.ts"`,
  "test/edge/Through.test.ts": `import { serve } from "./serve.ts"`,
  "test/edge/serve.ts":
    `import { more } from "./more.ts"\nimport { db } from "../support/database.ts"`,
  "test/edge/more.ts": `import { serve } from "./serve.ts"`,
  "test/task/Pure.test.ts":
    `import { x } from "../../src/store/database.ts"\nimport { y } from "./y.ts"`,
  "test/task/y.ts": "export const y = 1",
  "test/store/Embedded.test.ts": `// @embedded-only\nimport * as D from "../support/database.ts"`,
  "test/support/database.test.ts": `import { url } from "./database.ts"`,
}

it("finds the tests that use a database, also through helpers", async () => {
  const tests = Object.keys(files).filter((file) => file.endsWith(".test.ts"))
  const found = await usersOfTheDatabase(tests, (file) => Promise.resolve(files[file] ?? ""))
  expect(found).toEqual([
    "test/store/Direct.test.ts",
    "test/edge/Through.test.ts",
    "test/support/database.test.ts",
  ])
})
