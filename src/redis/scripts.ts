import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const INCLUDE_LINE = /^[ \t]*--[ \t]*@include\b[ \t]*(.*?)[ \t]*\r?$/
const SCRIPT_NAME = /^[A-Za-z0-9_-]+(\/[A-Za-z0-9_-]+)*$/

/**
 * Text of the Lua script at `url`, with each line `-- @include name` replaced by `<name>.lua` of the script's own folder
 * (`name` may have a subfolder, in the same form wherever it stands: included files include relative to that folder too).
 * Each file is included once, at its first mention, as Lua locals would otherwise be defined twice; a circle ends likewise.
 *
 * Give `new URL('./lua/commit.lua', import.meta.url)`: the build copies the lua folder beside the compiled module.
 * Reads files synchronously: call it while a module loads, not per command. Throws an `Error` that names the file and who
 * includes it when one is missing: that is a broken package, no condition that a caller could handle.
 */
export function loadLua(url: URL): string {
  const folder = new URL('.', url)
  return expand(url, folder, undefined, new Set([url.href]))
}

function expand(url: URL, folder: URL, includedBy: URL | undefined, seen: Set<string>): string {
  return readScript(url, includedBy)
    .split('\n')
    .map((line) => {
      const name = INCLUDE_LINE.exec(line)?.[1]
      if (name === undefined) return line
      if (!SCRIPT_NAME.test(name))
        throw new Error(`${fileURLToPath(url)}: "${line.trim()}" names no script; write -- @include folder/name`)
      const included = new URL(`${name}.lua`, folder)
      if (seen.has(included.href)) return `-- ${name}: included above`
      seen.add(included.href)
      return `-- ${name}: begin\n${expand(included, folder, url, seen)}\n-- ${name}: end`
    })
    .join('\n')
}

function readScript(url: URL, includedBy: URL | undefined): string {
  const file = fileURLToPath(url)
  try {
    return readFileSync(file, 'utf8').trimEnd()
  } catch (cause) {
    const origin = includedBy === undefined ? '' : `, which ${fileURLToPath(includedBy)} includes,`
    throw new Error(
      `The Lua script ${file}${origin} cannot be read; a build copies the lua folders beside their modules`,
      {
        cause,
      },
    )
  }
}
