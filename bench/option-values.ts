/** Values of command line options, checked. */
import { InvalidArgumentError } from 'commander'

/** A parser of whole numbers from `least` to `most`. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (text.trim() !== '' && Number.isInteger(value) && value >= least && value <= most) return value
    throw new InvalidArgumentError(`give a whole number from ${least} to ${most}`)
  }
}

/** Each part of a list with commas, parsed; none twice. */
export function listOf<Value>(text: string, parse: (part: string) => Value): Value[] {
  return [...new Set(text.split(',').map((part) => parse(part.trim())))]
}

/** A parser of one of some names. `what`: what they are names of, in a word. */
export function oneOf<Name extends string>(what: string, names: readonly Name[]): (text: string) => Name {
  return (text) => {
    const name = names.find((known) => known === text)
    if (name === undefined)
      throw new InvalidArgumentError(`there is no ${what} ${JSON.stringify(text)}; there are ${names.join(', ')}`)
    return name
  }
}
