import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, symlink } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type CompiledSource, compileSource } from './compiled.js'

/** Compiles the package as it stands, and `files` beside it, for processes that run it and are killed. */
export async function compilePackage(...files: string[]): Promise<CompiledSource> {
  const source = await compileSource('src/index.ts', 'workers/lock-keeper.ts', ...files)
  // A package of the same name, whose built files are these: by that name it finds its own processes and threads.
  const root = new URL('./', source.urlOf('package'))
  await cp('package.json', fileURLToPath(new URL('package.json', root)))
  await symlink('.', fileURLToPath(new URL('dist', root)))
  for (const loader of ['src/queue/bullmq-scripts.ts', 'src/runs/registry.ts']) {
    const lua = new URL('lua', new URL(`../../${loader}`, import.meta.url))
    await cp(fileURLToPath(lua), fileURLToPath(new URL('lua', source.urlOf(loader))), { recursive: true })
  }
  return source
}

/** A process that runs the text of a module, and says on stdout, by a line, that it is ready. */
export class KillableProcess {
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  /** Resolves when it is ready; rejects when it ends before. `env` is added to this process's own. */
  static async start(program: string, env: NodeJS.ProcessEnv = {}): Promise<KillableProcess> {
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    })
    await Promise.race([
      once(createInterface(child.stdout), 'line'),
      once(child, 'exit').then(([code]) => Promise.reject(new Error(`the process ended with code ${code}`))),
    ])
    return new KillableProcess(child)
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** SIGKILL, and its end. */
  async kill(): Promise<void> {
    if (!this.isRunning) return
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await gone
  }
}
