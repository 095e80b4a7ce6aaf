// Until `@weir/runtime` exports these four names; then import them from there and delete this file.
export * as Database from "../../src/store/Database.ts"
export * as Policy from "../../src/edge/Policy.ts"
export * as Supervised from "../../src/edge/Supervised.ts"
export * as Task from "../../src/task/Task.ts"
export * as CancelReason from "../../src/task/CancelReason.ts"
export * as TaskTree from "../../src/task/TaskTree.ts"
