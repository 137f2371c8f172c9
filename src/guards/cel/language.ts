import { type ASTNode, Environment, ParseError, type TypeCheckResult } from '@marcbachmann/cel-js'
import { LIMITS } from '../../kernel/limits.js'
import { FIELDS } from './variables.js'
import { shortened } from './words.js'

/*
 * The one file that imports the library: its parser, its limits and its type checker. It evaluates nothing.
 */

/** A node of a parsed expression. Where it stands in the text: `start` and `end`, in UTF-16 units. */
export type CelNode = ASTNode

/** Why an expression is refused. */
export interface ExpressionFault {
  readonly fault: 'bad_guard' | 'over_limit'
  /** A noun phrase of what was expected, on one line: what is wrong, where in the expression, and what to write. */
  readonly expected: string
}

export interface ParsedExpression {
  readonly tree: CelNode
  /** Checks the types: every function and operator exists for what it is given, and the whole may be true or false. */
  readonly checkTypes: () => ExpressionFault | undefined
}

/** How a fault names a place: counted from 1, as editors do. */
export const characterAt = (offset: number): string => `character ${offset + 1}`

export const badExpression = (problem: string): ExpressionFault => ({
  fault: 'bad_guard',
  expected: `a CEL expression; ${problem}`,
})

const overLimit = (expected: string): ExpressionFault => ({ fault: 'over_limit', expected })

/** Expressions that one environment parses before it is replaced. */
const ENVIRONMENT_USES = 200

let environment = newEnvironment()
let uses = 0

/**
 * What an expression may speak of. JSON numbers are doubles and literals are ints, so arithmetic takes both at once;
 * the handlers only stand there to declare that.
 */
function newEnvironment(): Environment {
  const made = new Environment({
    homogeneousAggregateLiterals: false,
    limits: {
      maxAstNodes: LIMITS.expressionNodes,
      maxDepth: LIMITS.expressionDepth,
      maxListElements: LIMITS.expressionItems,
      maxMapEntries: LIMITS.expressionItems,
      maxCallArguments: 4,
    },
  })
  made.registerVariable('context', 'map<string, dyn>')
  for (const [name, fields] of Object.entries(FIELDS)) {
    made.registerType(name, { fields })
    made.registerVariable(name, name)
  }
  const undecided = () => Number.NaN
  for (const operator of ['+', '-', '*', '/', '%']) {
    made.registerOperator(`int ${operator} double: double`, undecided)
    made.registerOperator(`double ${operator} int: double`, undecided)
  }
  made.registerOperator('double % double: double', undecided)
  return made
}

/** The library keeps every function name it is asked for, known or not: a new environment from time to time forgets them. */
function currentEnvironment(): Environment {
  if (++uses % ENVIRONMENT_USES === 0) environment = newEnvironment()
  return environment
}

/**
 * Parses one expression within the limits; its length must have been checked. Throws nothing.
 */
export function parseCel(text: string): ParsedExpression | ExpressionFault {
  try {
    const parsed = currentEnvironment().parse(text)
    return { tree: parsed.ast, checkTypes: () => typeFault(parsed.check(), text) }
  } catch (error) {
    // What is no ParseError is a stack that a long row of signs has used up.
    return error instanceof ParseError ? syntaxFault(error, text) : overLimit('a CEL expression that is less nested')
  }
}

/** Characters of what the library says in its own words. */
const MAX_SUMMARY = 160

function syntaxFault(error: ParseError, text: string): ExpressionFault {
  const start = error.range?.start ?? 0
  const found = shortened(text.slice(start, Math.max(error.range?.end ?? 0, start + 1)))
  switch (error.code) {
    case 'limit_exceeded':
      return limitFault(error.summary)
    case 'reserved_identifier':
      return badExpression(
        `'${found}' at ${characterAt(start)} is a reserved word; a field of such a name is read as context["name"]`,
      )
    case 'unterminated_string':
    case 'unterminated_triple_quoted_string':
      return badExpression(`the text that begins at ${characterAt(start)} needs its closing quote`)
    case 'unexpected_character':
    case 'unexpected_token':
    case 'expected_token':
      return misplaced(text, start, found)
    default:
      return badExpression(`at ${characterAt(start)}: ${shortened(error.summary, MAX_SUMMARY)}`)
  }
}

function misplaced(text: string, start: number, found: string): ExpressionFault {
  if (start >= text.length) return badExpression('this one ends too early; complete it')
  const cannot = `${JSON.stringify(found)} at ${characterAt(start)} cannot stand there`
  const isField = /\.\s*$/.test(text.slice(0, start))
  return badExpression(isField ? `${cannot}; a field of such a name is read as context["name"]` : cannot)
}

function limitFault(summary: string): ExpressionFault {
  if (summary.includes('maxAstNodes')) {
    return overLimit(
      `a CEL expression of at most ${LIMITS.expressionNodes} parts; divide it with {all: […]} or {any: […]}`,
    )
  }
  if (summary.includes('maxDepth')) return overLimit(`a CEL expression nested at most ${LIMITS.expressionDepth} deep`)
  if (summary.includes('maxCallArguments')) return badExpression('no function takes that many arguments')
  return overLimit(`a CEL expression with at most ${LIMITS.expressionItems} entries in one list or map`)
}

function typeFault({ valid, type, error }: TypeCheckResult, text: string): ExpressionFault | undefined {
  if (valid) {
    if (type === 'bool' || type === 'dyn') return undefined
    return { fault: 'bad_guard', expected: `a CEL expression that is true or false; this one gives ${type}` }
  }
  const start = error?.range?.start ?? 0
  const where = `'${shortened(text.slice(start, error?.range?.end))}' at ${characterAt(start)}`
  const summary = shortened(error?.summary ?? 'it cannot be evaluated', MAX_SUMMARY)
  const [, call] = /^found no matching overload for '(.*)'$/.exec(summary) ?? []
  if (call !== undefined) return badExpression(`${where}: there is no function ${call}`)
  if (error?.code !== 'no_such_overload') return badExpression(`${where}: ${lowerFirst(summary)}`)
  const operands = summary.replace(/^no such overload: /, '')
  const advice = /\b(event|error)\b/.test(operands) ? '; ask for a field, as in has(error.code)' : ''
  return badExpression(`${where}: there is no operation ${operands}${advice}`)
}

const lowerFirst = (words: string) => words.charAt(0).toLowerCase() + words.slice(1)
