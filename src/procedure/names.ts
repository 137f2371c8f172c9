import { z } from 'zod'
import type { FaultParams } from '../guards/strict-schema.js'
import { LIMITS } from '../kernel/limits.js'
import { isVersion, LATEST } from './version.js'

/** Control characters, line separators and halves of surrogate pairs, which UTF-8 cannot keep apart. */
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\p{Surrogate}]/u

/** Letters and digits of any script, `_`, and inside also `.`, `-` and space. */
const PROCEDURE_NAME = /^[\p{L}\p{N}_](?:[\p{L}\p{M}\p{N}_.\- ]*[\p{L}\p{M}\p{N}_-])?$/u

/**
 * Whether `text` can name a state, an event or a pool: 1 to `LIMITS.nameChars` UTF-16 units with something visible in
 * them and no control characters. Spaces, signs and any script are fine, and so are `constructor` and `__proto__`.
 */
export function isName(text: string): boolean {
  return text.length <= LIMITS.nameChars && text.trim() !== '' && !UNPRINTABLE.test(text)
}

/**
 * Whether `text` can name a procedure. The name becomes part of Redis keys, job names (`name@version`), URLs and file
 * names, so it is narrower than a state's: no `@ : { } /`, none that a file system trims, one Unicode form (NFC) only.
 */
function isProcedureName(text: string): boolean {
  return text.length <= LIMITS.nameChars && PROCEDURE_NAME.test(text) && text.normalize('NFC') === text
}

const PROCEDURE_NAME_PHRASE =
  `a procedure name of 1 to ${LIMITS.nameChars} letters, digits, "_", "-", "." and spaces that begins with a letter, digit or "_" ` +
  'and does not end with a space or "." (it becomes part of Redis keys, URLs and file names)'
const VERSION_PHRASE = 'a version "X.Y" or "X.Y.Z" in a string, of decimal numbers without leading zeros'

const BAD_NAME: FaultParams = { fault: 'bad_name' }
const BAD_VERSION: FaultParams = { fault: 'bad_version' }

function nameOf(what: string) {
  const error = `the name of ${what}, a string of 1 to ${LIMITS.nameChars} characters, not blank and without control characters`
  return z.string({ error }).refine(isName, { error, params: BAD_NAME })
}

/** Name of a state; see {@link isName}. Faults: `wrong_type`, `bad_name`. */
export const stateNameSchema = nameOf('a state')

/** Name of an event; see {@link isName}. Faults: `wrong_type`, `bad_name`. */
export const eventNameSchema = nameOf('an event')

/** Name of a pool of workers; see {@link isName}. Faults: `wrong_type`, `bad_name`. */
export const poolNameSchema = nameOf('a pool of workers')

/** Name of a procedure; see `isProcedureName`. Faults: `wrong_type`, `bad_name`. */
export const procedureNameSchema = z
  .string({ error: PROCEDURE_NAME_PHRASE })
  .refine(isProcedureName, { error: PROCEDURE_NAME_PHRASE, params: BAD_NAME })

/** Version of a procedure: `X.Y` or `X.Y.Z`. Faults: `wrong_type`, `bad_version`. */
export const versionSchema = z
  .string({ error: VERSION_PHRASE })
  .refine(isVersion, { error: VERSION_PHRASE, params: BAD_VERSION })

/** A version, or `latest`, wherever a procedure is looked up. */
export const versionOrLatestSchema = z
  .string({ error: VERSION_PHRASE })
  .refine((text) => text === LATEST || isVersion(text), {
    error: `${VERSION_PHRASE}, or "latest"`,
    params: BAD_VERSION,
  })
