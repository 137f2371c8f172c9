import type { Json } from '../../kernel/json.js'
import { showValue } from '../show-value.js'
import type { Check, CompiledSchema, KeywordCompiler, KeywordSource } from './check.js'
import { evaluatePart, holdsBy } from './evaluate.js'
import { JsonSet } from './json-set.js'
import type { Seen } from './seen.js'
import type { Visit } from './visit.js'

/** A keyword that arrays are held to; anything else holds. */
function forArrays(check: (value: Json[], visit: Visit, seen: Seen | undefined) => boolean): Check {
  return (value, visit, seen) => !Array.isArray(value) || check(value, visit, seen)
}

const counted = (count: number) => `${count} item${count === 1 ? '' : 's'}`

function countCheck(keyword: string, phrase: string, holds: (count: number) => boolean): Check {
  return forArrays(({ length }, visit) => {
    if (holds(length)) return true
    const message = `found ${counted(length)}; expected ${phrase}`
    return visit.failWith(keyword, () => ({ expected: phrase, message }))
  })
}

/** Items by their place: one schema each for the first, then one for all others. Draft 7 has both under other names. */
function compileItems({ schema, below }: KeywordSource): Check {
  const firstKeyword = Array.isArray(schema.items) ? 'items' : 'prefixItems'
  const restKeyword = Array.isArray(schema.items) ? 'additionalItems' : 'items'
  const listed = Object.hasOwn(schema, firstKeyword) ? (schema[firstKeyword] as Json[]) : []
  const first = listed.map((_, index) => below(firstKeyword, index))
  const rest = Object.hasOwn(schema, restKeyword) ? below(restKeyword) : undefined
  return forArrays((items, visit, seen) => {
    const end = rest === undefined ? Math.min(items.length, first.length) : items.length
    let holds = true
    for (let index = 0; index < end; index++) {
      holds = evaluatePart(first[index] ?? (rest as CompiledSchema), items[index] as Json, index, visit) && holds
      if (!holds && !visit.reports) break
    }
    seen?.addItemsBefore(end)
    return holds
  })
}

/** `contains` with `minContains` (1 unless given) and `maxContains`. */
function compileContains(_value: Json, { schema, below }: KeywordSource): Check {
  const wanted = below('contains')
  const least = Object.hasOwn(schema, 'minContains') ? (schema.minContains as number) : 1
  const most = Object.hasOwn(schema, 'maxContains') ? (schema.maxContains as number) : Number.POSITIVE_INFINITY
  return forArrays((items, visit, seen) => {
    let count = 0
    if (!visit.spend(items.length)) return false
    for (const [index, item] of items.entries()) {
      if (!holdsBy(wanted, item, visit)) continue
      count++
      seen?.addKey(index)
      // More would change nothing, unless there may be too many or somebody wants to know which they are.
      if (count >= least && most === Number.POSITIVE_INFINITY && seen === undefined) return true
    }
    if (count >= least && count <= most) return true
    const keyword = count > most ? 'maxContains' : Object.hasOwn(schema, 'minContains') ? 'minContains' : 'contains'
    const expected = `${count > most ? `at most ${most}` : `at least ${least}`} that fit the schema under "contains"`
    const message = `found ${counted(items.length)}, of which ${count} fit; expected ${expected}`
    return visit.failWith(keyword, () => ({ expected, message }))
  })
}

function compileUniqueItems(unique: boolean): Check | undefined {
  if (!unique) return undefined
  return forArrays((items, visit) => {
    const known = new JsonSet()
    for (const [index, item] of items.entries()) {
      if (!visit.spend(1)) return false
      const first = known.add(item, visit)
      if (first === undefined) continue
      const expected = 'no item twice'
      const say = () => ({
        expected,
        message: `found ${showValue(item)} again; expected ${expected}: it is item ${first} already`,
      })
      return visit.failWith('uniqueItems', say, index)
    }
    return true
  })
}

/** `unevaluatedItems`. */
export function compileUnevaluatedItems(_value: Json, { below }: KeywordSource): Check {
  const schema = below('unevaluatedItems')
  return forArrays((items, visit, seen) => {
    let holds = visit.spend(items.length)
    for (const [index, item] of items.entries()) {
      if (seen?.hasItem(index)) continue
      holds = evaluatePart(schema, item, index, visit) && holds
      if (!holds && !visit.reports) break
    }
    seen?.addItemsBefore(items.length)
    return holds
  })
}

/** The keywords of arrays, but for `unevaluatedItems`, which comes after all others. */
export const ARRAY_KEYWORDS: readonly (readonly [keyword: string, compile: KeywordCompiler])[] = [
  ['minItems', (least: number) => countCheck('minItems', `at least ${counted(least)}`, (count) => count >= least)],
  ['maxItems', (most: number) => countCheck('maxItems', `at most ${counted(most)}`, (count) => count <= most)],
  ['uniqueItems', compileUniqueItems],
  ['prefixItems', (_items, source) => (Object.hasOwn(source.schema, 'items') ? undefined : compileItems(source))],
  ['items', (_items, source) => compileItems(source)],
  ['contains', compileContains],
]
