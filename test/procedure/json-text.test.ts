import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatPath } from '../../src/procedure/fault-list.js'
import { lineAndColumn, scanJsonText } from '../../src/procedure/json-text.js'

function parses(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

const duplicatesIn = (text: string) => scanJsonText(text).duplicates.map(formatPath)

describe('scanJsonText', () => {
  it.each([
    ['', 0],
    ['  ', 2],
    ['{"a":1,}', 7],
    ['[1,]', 3],
    ['[1 2]', 3],
    ['{"a" 1}', 5],
    ['{a:1}', 1],
    ["{'a':1}", 1],
    ['"abc', 4],
    ['"a\nb"', 2],
    ['"\\x"', 1],
    ['"\\u12g4"', 1],
    ['01', 1],
    ['1.', 1],
    ['-', 0],
    ['nul', 0],
    ['{}}', 2],
    ['[[', 2],
  ])('%j is broken at offset %d', (text, offset) => {
    expect(parses(text)).toBe(false)
    expect(scanJsonText(text).fault?.offset).toBe(offset)
  })

  it('finds keys given twice, at any depth and however they are written', () => {
    expect(duplicatesIn('{"a":1,"b":{"a":2},"a":3}')).toEqual(['a'])
    expect(duplicatesIn('[{"x":{"y z":1,"y\\u0020z":2}}]')).toEqual(['[0].x["y z"]'])
    expect(duplicatesIn('{"__proto__":1,"__proto__":2,"constructor":3}')).toEqual(['__proto__'])
    expect(duplicatesIn('{"a":{"b":1},"c":{"b":1}}')).toEqual([])
  })

  it('agrees with JSON.parse about every text', () => {
    const fragment = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '\\',
      '0',
      '-',
      '1e5',
      '.',
      'true',
      'null',
      ' ',
      '\n',
      '"a"',
      '\t',
      '\u0000',
      '\u007f',
      'é',
    )
    const broken = fc.tuple(fc.json(), fc.nat(), fragment).map(([text, at, bit]) => {
      const here = at % (text.length + 1)
      return text.slice(0, here) + bit + text.slice(here + (at % 2))
    })
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json(),
          broken,
          fc.array(fragment).map((bits) => bits.join('')),
        ),
        (text) => {
          expect(scanJsonText(text).fault === undefined).toBe(parses(text))
        },
      ),
      { numRuns: 2000 },
    )
  })
})

describe('lineAndColumn', () => {
  it('counts both from one, over any line ends', () => {
    expect(lineAndColumn('abc', 0)).toEqual({ line: 1, column: 1 })
    expect(lineAndColumn('a\r\nbc\n\nd', 7)).toEqual({ line: 4, column: 1 })
    expect(lineAndColumn('a\nbc', 4)).toEqual({ line: 2, column: 3 })
  })
})
