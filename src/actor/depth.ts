/** How deep actors may drain one another's mailboxes on one stack. */
export const maxDepth = 16

/** How deep they are now. */
export const stack = { depth: 0 }
