import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const root = new URL('../..', import.meta.url).pathname

const MAX_OUTPUT_BYTES = 2 ** 26

/** The import that gives a compiled file `names` of a `module` of our source. */
export function importOf(module: string, names: string): string {
  return `import { ${names} } from ${JSON.stringify(join(root, 'src', module))}\n`
}

/** One error of the compiler; `line` and `column` count from 1. */
export interface Diagnostic {
  readonly file: string
  readonly line: number
  readonly column: number
  /** All its lines. */
  readonly message: string
}

/** What came of a compilation. */
export interface Compilation {
  /** Of the files that were given; those of our own source are `npm run types`' affair. */
  readonly diagnostics: readonly Diagnostic[]
  /** The declarations emitted of the file `name`. */
  declarations(name: string): string
  remove(): void
}

/** A strict user's settings, without what our own have besides. */
const STRICT = { target: 'es2023', module: 'nodenext', strict: true, skipLibCheck: true }

/**
 * Compiles `files` (name to text, `.mts`) in a folder of their own, with `options` on top of {@link STRICT}. Errors are
 * the answer, not a failure; fails when the compiler cannot run or refuses its settings.
 */
export async function compile(files: Record<string, string>, options: object = {}): Promise<Compilation> {
  const folder = mkdtempSync(join(realpathSync(tmpdir()), 'procession-types-'))
  // What is emitted lies under `out` as its source lies under the root, since our source is compiled with it.
  const emit = { declaration: true, emitDeclarationOnly: true, rootDir: '/', outDir: 'out' }
  const typeRoots = [join(root, 'node_modules/@types')]
  const compilerOptions = { ...STRICT, ...emit, types: ['node'], typeRoots, ...options }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: Object.keys(files) }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  const output = await outputOf(folder)
  if (/^(?:error|tsconfig\.json\()/m.test(output)) throw new Error(output)
  return {
    diagnostics: diagnosticsIn(output).filter(({ file }) => Object.hasOwn(files, file)),
    declarations: (name) => readFileSync(join(folder, 'out', folder, name.replace(/\.mts$/, '.d.mts')), 'utf8'),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

function outputOf(folder: string): Promise<string> {
  const args = [join(root, 'node_modules/typescript/bin/tsc'), '-p', '.', '--pretty', 'false']
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, { cwd: folder, maxBuffer: MAX_OUTPUT_BYTES }, (error, stdout) => {
      if (error && typeof error.code !== 'number') reject(error)
      else resolve(stdout)
    })
  })
}

/** Takes apart `file(line,column): error TSnnnn: message`, whose further lines are indented. */
function diagnosticsIn(output: string): Diagnostic[] {
  const found = output.matchAll(/^(\S+?)\((\d+),(\d+)\): error TS\d+: (.*(?:\n {2}.*)*)/gm)
  return [...found].map(([, file, line, column, message]) => ({
    file: file!,
    line: Number(line),
    column: Number(column),
    message: message!,
  }))
}
