import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'

/** Modules compiled for a child process that a test starts, and kills, by itself. */
export interface CompiledSource {
  /** What the child imports: the compiled form of a file given by its path from the root, e.g. `src/redis/provision.ts`. */
  urlOf(file: string): string
  remove(): Promise<void>
}

/**
 * Compiles `files` and what they import, without checking types, into a folder of node_modules, where the packages resolve.
 * For tests of a single layer, which are to run as the source stands, without a build of the whole package.
 */
export async function compileSource(...files: string[]): Promise<CompiledSource> {
  const cache = resolve('node_modules')
  const outDir = await mkdtemp(join(cache, '.procession-test-'))
  const options = ['--ignoreConfig', '--noCheck', '--module', 'nodenext', '--target', 'es2023', '--types', 'node']
  await promisify(execFile)(join(cache, '.bin', 'tsc'), [...options, '--rootDir', '.', '--outDir', outDir, ...files])
  return {
    urlOf: (file) => pathToFileURL(join(outDir, file.replace(/\.ts$/, '.js'))).href,
    remove: () => rm(outDir, { recursive: true, force: true }),
  }
}
