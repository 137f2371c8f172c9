import { readFile } from 'node:fs/promises'
import { text as readText } from 'node:stream/consumers'
import { ProcessionError } from '../kernel/errors.js'

/** The text of a file, or of stdin for `-`, without a byte order mark. Throws `invalid_argument` when it cannot be read. */
export async function readSource(file: string): Promise<string> {
  try {
    const text = file === '-' ? await readText(process.stdin) : await readFile(file, 'utf8')
    return text.startsWith('\ufeff') ? text.slice(1) : text
  } catch (cause) {
    throw new ProcessionError('invalid_argument', `${file} cannot be read: ${(cause as Error).message}`, { cause })
  }
}

/** What messages call a source. */
export function sourceName(file: string): string {
  return file === '-' ? '(stdin)' : file
}
