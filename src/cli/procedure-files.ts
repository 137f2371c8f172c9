import { type Issue, ProcessionError } from '../kernel/errors.js'
import { jsonTextDepth } from '../kernel/json.js'
import { LIMITS } from '../kernel/limits.js'
import type { Procedure } from '../procedure/definition.js'
import { lineAndColumn, scanJsonText } from '../procedure/json-text.js'
import { parseProcedureText } from '../procedure/validate.js'
import { type JsonPlace, lineOf, placesInJson } from './json-places.js'
import { readSource, sourceName } from './source.js'

/** A fault or warning with the line that it stands on, from 1. */
export interface LocatedIssue extends Issue {
  readonly file: string
  readonly line: number
}

/** One procedure of a file, checked. */
export interface ProcedureInFile {
  readonly file: string
  /** Position in a file that holds a list. */
  readonly index?: number
  /** As far as they can be told. */
  readonly name?: string
  readonly version?: string
  /** Missing when there are faults. */
  readonly procedure?: Procedure
  /** In the order of their lines. */
  readonly faults: readonly LocatedIssue[]
  readonly warnings: readonly LocatedIssue[]
}

/** Reads procedures: a file holds one, or a list of them; `-` is stdin. Throws `invalid_argument` for an unreadable file. */
export async function readProcedureFiles(files: readonly string[]): Promise<ProcedureInFile[]> {
  const procedures: ProcedureInFile[] = []
  for (const file of files) {
    procedures.push(...checkText(sourceName(file), await readSource(file)))
  }
  return procedures
}

function checkText(file: string, text: string): ProcedureInFile[] {
  const isList = /^\s*\[/.test(text) && jsonTextDepth(text) <= LIMITS.jsonDepth + 1
  if (!isList) return [checkProcedure({ file, text, start: 0, end: text.length })]
  const { fault } = scanJsonText(text)
  if (fault) {
    const { line, column } = lineAndColumn(text, fault.offset)
    const message = `line ${line}, column ${column}: ${fault.problem}; correct the JSON there`
    return [refusedFile({ path: '', code: 'invalid_json', message, file, line })]
  }
  const places = placesInJson(text)
  const items: ProcedureInFile[] = []
  for (let place = places.get('[0]'); place; place = places.get(`[${items.length}]`))
    items.push(checkProcedure({ file, text, start: place.start, end: place.end }, items.length))
  if (items.length > 0) return items
  return [refusedFile({ path: '', code: 'empty_list', message: 'the list holds no procedure; add one', file, line: 1 })]
}

function refusedFile(fault: LocatedIssue): ProcedureInFile {
  return { file: fault.file, faults: [fault], warnings: [] }
}

/** A stretch of a file's text that holds one procedure. */
interface Stretch {
  readonly file: string
  readonly text: string
  readonly start: number
  readonly end: number
}

function checkProcedure(stretch: Stretch, index?: number): ProcedureInFile {
  const { file } = stretch
  const own = stretch.text.slice(stretch.start, stretch.end)
  const where = { file, ...(index !== undefined && { index }) }
  try {
    const { procedure, warnings } = parseProcedureText(own)
    const { name, version } = procedure
    return { ...where, name, version, procedure, faults: [], warnings: locate(stretch, own, warnings) }
  } catch (error) {
    if (!(error instanceof ProcessionError)) throw error
    return { ...where, ...nameIn(own), faults: locate(stretch, own, error.issues), warnings: [] }
  }
}

function locate({ file, text, start }: Stretch, own: string, issues: readonly Issue[]): LocatedIssue[] {
  if (issues.length === 0) return []
  const before = lineAndColumn(text, start).line - 1
  let places: Map<string, JsonPlace> | undefined
  const located = issues.map((issue) => {
    const told = /^line (\d+),/.exec(issue.message)?.[1]
    if (issue.code === 'invalid_json' && told) return { ...issue, file, line: before + Number(told) }
    // Without a path it is the whole text that is refused, perhaps for being too deep or too long to walk.
    if (issue.path === '') return { ...issue, file, line: before + 1 }
    places ??= placesInJson(own)
    return { ...issue, file, line: before + lineOf(own, places, issue.path) }
  })
  return located.sort((a, b) => a.line - b.line)
}

/** Name and version of a document that has faults, where it gives them as texts. */
function nameIn(text: string): { name?: string; version?: string } {
  try {
    const { name, version } = JSON.parse(text) as Record<string, unknown>
    return {
      ...(typeof name === 'string' && { name }),
      ...(typeof version === 'string' && { version }),
    }
  } catch {
    return {}
  }
}
