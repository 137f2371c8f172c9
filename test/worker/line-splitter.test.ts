import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LineSplitter } from '../../src/worker/isolation/line-splitter.js'

/** What a splitter hands on of a text that comes in pieces of these sizes, and whether anything was cut. */
function split(text: string, sizes: readonly number[], maxBytes: number): [line: string, cut: boolean][] {
  const lines: [string, boolean][] = []
  const splitter = new LineSplitter(maxBytes, (line, cut) => lines.push([line, cut]))
  const bytes = Buffer.from(text)
  for (let from = 0, i = 0; from < bytes.length; i++) {
    const to = from + (sizes[i % sizes.length] ?? 1)
    splitter.push(bytes.subarray(from, to))
    from = to
  }
  splitter.end()
  return lines
}

const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 })
const texts = fc.array(fc.string({ unit: 'grapheme', maxLength: 12 })).map((parts) => parts.join('\n'))

test('lines come out as they went in, whatever the pieces', () => {
  fc.assert(
    fc.property(texts, sizes, (text, pieces) => {
      const wanted = text.split('\n')
      if (wanted.at(-1) === '') wanted.pop()
      expect(split(text, pieces, 1_000)).toStrictEqual(wanted.map((line) => [line, false]))
    }),
  )
})

test('of a line over the bound the beginning comes once, as cut, and the next line is whole', () => {
  fc.assert(
    fc.property(sizes, fc.integer({ min: 11, max: 100 }), (pieces, length) => {
      const text = `${'x'.repeat(length)}\nnext\n${'y'.repeat(10)}\n`
      expect(split(text, pieces, 10)).toStrictEqual([
        ['x'.repeat(10), true],
        ['next', false],
        ['y'.repeat(10), false],
      ])
    }),
  )
})
