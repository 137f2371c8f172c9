const MAX_CHARS = 60

/** Words of an expression or of the library, fit for a sentence: on one line, cut to 60 characters or `most`. */
export function shortened(words: string, most: number = MAX_CHARS): string {
  const line = words.replace(/\s+/g, ' ').trim()
  return line.length > most ? `${line.slice(0, most - 1)}…` : line
}
