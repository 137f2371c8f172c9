import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalJson, type Json } from '../../src/kernel/json.js'
import { procedureDigest } from '../../src/procedure/digest.js'
import { SEED } from './documents.js'

/** The same value with the keys of every object in reverse. */
function reversed(value: Json): Json {
  if (Array.isArray(value)) return value.map(reversed)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).reverse()
  return Object.fromEntries(entries.map(([key, item]) => [key, reversed(item)]))
}

describe('procedureDigest', () => {
  it('does not depend on the order of keys', () => {
    expect(procedureDigest(reversed(SEED as Json))).toBe(procedureDigest(SEED))
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(procedureDigest(reversed(value as Json))).toBe(procedureDigest(value))
      }),
    )
  })

  it('depends on everything else: order of arrays, defaults written out, keys called __proto__', () => {
    const texts = ['[1,2]', '[2,1]', '{}', '{"__proto__":{}}', '{"a":1}', '{"a":"1"}', '{"a":[1]}', '{"a":null}']
    expect(new Set(texts.map((text) => procedureDigest(JSON.parse(text)))).size).toBe(texts.length)
    expect(procedureDigest({ ...SEED, max_retries: 4 })).not.toBe(procedureDigest(SEED))
  })

  it('is of a text with keys by code units, after whole numbers in their order', () => {
    const keys = ['é', 'a', 'Z', '10', '2', '01', '-1', '4294967295', '4294967294', '__proto__']
    const text = `{${keys.map((key) => `"${key}":[{"b":1,"a":null}]`).join(',')}}`
    const sorted = ['2', '10', '4294967294', '-1', '01', '4294967295', 'Z', '__proto__', 'a', 'é']
    expect(canonicalJson(JSON.parse(text))).toBe(`{${sorted.map((key) => `"${key}":[{"a":null,"b":1}]`).join(',')}}`)
  })

  it('is SHA-256 in hex and stays the same for ever', () => {
    expect(procedureDigest({ b: [1, { d: null, c: 'ü' }], a: 1 })).toMatch(/^[0-9a-f]{64}$/)
    expect(procedureDigest({})).toBe('44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a')
  })
})
