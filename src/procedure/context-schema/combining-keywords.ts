import type { Json } from '../../kernel/json.js'
import { formatPath } from '../fault-list.js'
import { showValue } from '../show-value.js'
import type { Check, CompiledSchema, KeywordCompiler, KeywordSource } from './check.js'
import { evaluate, faultsBy, holdsBy } from './evaluate.js'
import { Seen } from './seen.js'
import type { ContextFault, Visit } from './visit.js'

/** Forms of which a message says what they want. */
const FORMS_SHOWN = 4

function listUnder(keyword: string, schemas: Json[], { below }: KeywordSource): CompiledSchema[] {
  return schemas.map((_, index) => below(keyword, index))
}

function compileRef(_ref: string, { target }: KeywordSource): Check {
  const schema = target()
  return (value, visit, seen) => evaluate(schema, value, visit, seen)
}

function compileAllOf(given: Json[], source: KeywordSource): Check {
  const schemas = listUnder('allOf', given, source)
  return (value, visit, seen) => {
    let holds = true
    for (const schema of schemas) {
      holds = evaluate(schema, value, visit, seen) && holds
      if (!holds && !visit.reports) break
    }
    return holds
  }
}

function compileAnyOf(given: Json[], source: KeywordSource): Check {
  const forms = listUnder('anyOf', given, source)
  return (value, visit, seen) => {
    let holds = false
    for (const form of forms) {
      holds = holdsBy(form, value, visit, seen) || holds
      // What the other forms have seen counts too, when somebody wants it.
      if (holds && seen === undefined) break
    }
    return holds || failForms('anyOf', forms, value, visit)
  }
}

function compileOneOf(given: Json[], source: KeywordSource): Check {
  const forms = listUnder('oneOf', given, source)
  return (value, visit, seen) => {
    const fitting: number[] = []
    for (const [index, form] of forms.entries()) {
      const seenByForm = seen && new Seen()
      if (!holdsBy(form, value, visit, seenByForm)) continue
      fitting.push(index)
      if (fitting.length === 2) break
      if (seenByForm) seen.addAll(seenByForm)
    }
    if (fitting.length === 1) return true
    if (fitting.length === 0) return failForms('oneOf', forms, value, visit)
    const expected = `a value of exactly one form; it is both oneOf[${fitting[0]}] and oneOf[${fitting[1]}]`
    return visit.fail('oneOf', value, expected)
  }
}

function compileNot(_schema: Json, { below }: KeywordSource): Check {
  const refused = below('not')
  return (value, visit) =>
    !holdsBy(refused, value, visit) || visit.fail('not', value, 'a value that "not" does not refuse')
}

function compileIf(_schema: Json, { schema, below }: KeywordSource): Check {
  const condition = below('if')
  const [yes, no] = ['then', 'else'].map((keyword) => (Object.hasOwn(schema, keyword) ? below(keyword) : undefined))
  return (value, visit, seen) => {
    const branch = holdsBy(condition, value, visit, seen) ? yes : no
    return branch === undefined || evaluate(branch, value, visit, seen)
  }
}

/**
 * Reports that a value has none of the `forms`. When it was meant to have a certain one, that form's faults say more than
 * that it has none: the only one that fails in nothing but parts of the value, and not by the value of a tag in it.
 */
function failForms(keyword: string, forms: readonly CompiledSchema[], value: Json, visit: Visit): false {
  if (!visit.reports) return false
  const depth = visit.depth
  const faultsByForm = forms.map((form) => faultsBy(form, value, visit))
  const meant = faultsByForm.filter((faults) => faults.every((fault) => isInside(fault, depth)))
  const [only] = meant
  if (only !== undefined && meant.length === 1) return visit.adopt(only)
  const wanted = new Set(faultsByForm.map((faults) => wantedBy(faults, depth)))
  const shown = [...wanted].slice(0, FORMS_SHOWN).join(', or ')
  const expected = wanted.size > FORMS_SHOWN ? `${shown}, or another form` : shown
  return visit.failWith(keyword, () => ({ expected, message: `found ${showValue(value)}; expected ${expected}` }))
}

/** Whether a fault is below the value at `depth` and does not mean that another form is the right one. */
function isInside({ path, keyword }: ContextFault, depth: number): boolean {
  if (path.length <= depth) return false
  return path.length > depth + 1 || (keyword !== 'const' && keyword !== 'enum')
}

/** What a form that was not met first asks for, and where. */
function wantedBy(faults: readonly ContextFault[], depth: number): string {
  const [first] = faults
  if (first === undefined) return 'another form'
  const part = formatPath(first.path.slice(depth))
  return part === '' ? first.expected : `${first.expected} in ${part}`
}

/** The keywords that put schemas together. */
export const COMBINING_KEYWORDS: readonly (readonly [keyword: string, compile: KeywordCompiler])[] = [
  ['$ref', compileRef],
  ['allOf', compileAllOf],
  ['anyOf', compileAnyOf],
  ['oneOf', compileOneOf],
  ['not', compileNot],
  ['if', compileIf],
]
