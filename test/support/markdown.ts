const fence = /^```[\s\S]*?^```/gm

const prose = (text: string): string => text.replace(fence, "")

/** The contents of all inline code spans. */
export const codeSpans = (text: string): ReadonlyArray<string> =>
  [...prose(text).matchAll(/`([^`\n]+)`/g)].map((match) => match[1] as string)

/** The targets of all inline links and images. */
export const links = (text: string): ReadonlyArray<string> =>
  [...prose(text).replace(/`[^`\n]*`/g, "").matchAll(/\]\(([^)\s]+)\)/g)]
    .map((match) => match[1] as string)

/** The anchors that GitHub gives the headings of a page. */
export const headings = (text: string): ReadonlyArray<string> =>
  [...prose(text).matchAll(/^#+ +(.+)$/gm)].map((match) =>
    (match[1] as string).toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-")
  )
