/** What is known of a message before it is sent. */
export interface Plan {
  readonly tag: string
  /** Index of its priority lane. */
  readonly lane: number
  readonly reentrant: boolean
  readonly uninterruptible: boolean
  /** How often it is tried again after a crash. */
  readonly retries: number
}
