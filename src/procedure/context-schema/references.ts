import { isJsonObject } from '../../kernel/json.js'
import { KEYWORDS } from './keywords.js'
import type { SchemaIndex, Subschema } from './subschemas.js'

/** Whether a `$ref` stays inside its document: `#`, a pointer `#/…` or an anchor `#…`. Nothing is ever fetched. */
export function isLocal(ref: string): boolean {
  return ref.startsWith('#')
}

/** The schema that a local `$ref` leads to, `undefined` when there is none. */
export function targetOf(ref: string, index: SchemaIndex): Subschema | undefined {
  const fragment = decoded(ref.slice(1))
  if (fragment === undefined) return undefined
  return fragment === '' || fragment.startsWith('/') ? index.byPointer.get(fragment) : index.byAnchor.get(fragment)
}

/** The fragment of a URI without its percent-encoding, `undefined` when that is broken. */
function decoded(fragment: string): string | undefined {
  try {
    return decodeURIComponent(fragment)
  } catch {
    return undefined
  }
}

/** The `$ref` of a schema, `undefined` when it has none that is a string. */
export function refOf({ schema }: Subschema): string | undefined {
  if (!isJsonObject(schema) || !Object.hasOwn(schema, '$ref')) return undefined
  return typeof schema.$ref === 'string' ? schema.$ref : undefined
}

/** How far the schemas that apply to one value lead on, from one to the next. */
export interface Chains {
  /** Schemas whose `$ref` leads back to them for the same value: they would never end. */
  readonly endless: readonly Subschema[]
  /** The longest chain, counted in schemas. */
  readonly longest: number
}

interface Step {
  readonly from: Subschema
  readonly next: readonly Subschema[]
  /** How many of `next` have been followed. */
  followed: number
  /** The longest chain that begins here, as far as it is known. */
  length: number
}

/**
 * Follows every schema to those that apply to the same value (`$ref`, `allOf`, `if` and the like): a depth-first search
 * without recursion, in which coming back to a schema on the current way is a cycle.
 */
export function chainsOf(index: SchemaIndex): Chains {
  const lengths = new Map<Subschema, number>()
  const endless = new Set<Subschema>()
  let longest = 0
  for (const start of index.byPointer.values()) {
    const way: Step[] = lengths.has(start) ? [] : [stepFrom(start, index)]
    for (let step = way.at(-1); step !== undefined; step = way.at(-1)) {
      const next = step.next[step.followed++]
      if (next === undefined) {
        lengths.set(step.from, step.length)
        longest = Math.max(longest, step.length)
        way.pop()
        const before = way.at(-1)
        if (before !== undefined) before.length = Math.max(before.length, 1 + step.length)
        continue
      }
      const known = lengths.get(next)
      if (known !== undefined) step.length = Math.max(step.length, 1 + known)
      else if (way.some(({ from }) => from === next)) endless.add(referenceOn(way, next))
      else way.push(stepFrom(next, index))
    }
  }
  return { endless: [...endless], longest }
}

function stepFrom(from: Subschema, index: SchemaIndex): Step {
  const next: Subschema[] = []
  const ref = refOf(from)
  const target = ref !== undefined && isLocal(ref) ? targetOf(ref, index) : undefined
  if (target) next.push(target)
  for (const { keyword, subschema } of from.children) if (KEYWORDS.get(keyword)?.inPlace) next.push(subschema)
  return { from, next, followed: 0, length: 1 }
}

/** Of the schemas on a cycle, the first that goes on by its `$ref`: there is one, since what is nested never ends above. */
function referenceOn(way: readonly Step[], start: Subschema): Subschema {
  const cycle = way.slice(way.findIndex(({ from }) => from === start))
  const step = cycle.find(({ from, followed }) => refOf(from) !== undefined && followed === 1)
  return (step ?? cycle[0]!).from
}
