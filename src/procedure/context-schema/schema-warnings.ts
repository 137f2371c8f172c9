import { isJsonObject, type JsonObject } from '../../kernel/json.js'
import type { FaultList, Path } from '../fault-list.js'
import { nearestWord } from '../near-miss.js'
import { showValue } from '../show-value.js'
import { FORMATS } from './formats.js'
import { KEYWORDS } from './keywords.js'
import { indexSchemas } from './subschemas.js'

/** Formats of JSON Schema that are only annotations here: nobody mistyped these. */
const ANNOTATED_FORMATS = ['idn-email', 'idn-hostname', 'iri', 'iri-reference', 'uri-template', 'regex', 'url', 'int64']

/**
 * Adds what JSON Schema allows and yet looks like a mistake, in a schema without faults at `path` of its document: a
 * key that is nearly a keyword (`unknown_keyword`) and a format that is nearly one (`unknown_format`). Both would
 * silently check nothing.
 */
export function addSchemaWarnings(root: JsonObject, path: Path, warnings: FaultList): void {
  for (const { schema, path: below } of indexSchemas(root).byPointer.values()) {
    if (!isJsonObject(schema)) continue
    const here = [...path, ...below]
    for (const key of Object.keys(schema)) {
      const meant = KEYWORDS.has(key) ? undefined : nearestWord(key, KEYWORDS.keys())
      if (meant === undefined) continue
      const message = () => `unknown keyword ${showValue(key)} checks nothing; did you mean '${meant}'?`
      warnings.add([...here, key], 'unknown_keyword', message)
    }
    const format = Object.hasOwn(schema, 'format') ? String(schema.format) : ''
    const meant =
      FORMATS.has(format) || ANNOTATED_FORMATS.includes(format) ? undefined : nearestWord(format, FORMATS.keys())
    if (meant === undefined) continue
    const message = () => `unknown format ${showValue(format)} checks nothing; did you mean '${meant}'?`
    warnings.add([...here, 'format'], 'unknown_format', message)
  }
}
