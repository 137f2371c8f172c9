/** Colours for one stream; each function returns its text as it is when the stream shows none. */
export interface Paint {
  bold(text: string): string
  dim(text: string): string
  red(text: string): string
  green(text: string): string
  yellow(text: string): string
  blue(text: string): string
  cyan(text: string): string
}

const CODES: Record<keyof Paint, readonly [on: number, off: number]> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  blue: [34, 39],
  cyan: [36, 39],
}

/** Colours only for a terminal that has them, and not against NO_COLOR (https://no-color.org). */
export function paintFor(stream: NodeJS.WriteStream): Paint {
  const colours = stream.isTTY && stream.hasColors()
  const names = Object.keys(CODES) as (keyof Paint)[]
  return Object.fromEntries(
    names.map((name) => {
      const [on, off] = CODES[name]
      return [name, (text: string) => (colours && text !== '' ? `\x1b[${on}m${text}\x1b[${off}m` : text)]
    }),
  ) as unknown as Paint
}
