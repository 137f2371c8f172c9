/** A moved clock for a worker process: libfaketime where there is one, else unpacked from Debian's package for this run. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const LIBRARY = 'libfaketime.so.1'

export interface MovedClock {
  /** What was used, in words. */
  readonly how: string
  /** Environment of a process whose clock is `offsetMs` off. */
  env(offsetMs: number): NodeJS.ProcessEnv
  remove(): Promise<void>
}

/** Finds or unpacks libfaketime. Throws with the remedy when there is none to be had. */
export async function movedClock(): Promise<MovedClock> {
  const installed = ['/usr/lib/x86_64-linux-gnu/faketime', '/usr/lib/aarch64-linux-gnu/faketime', '/usr/lib/faketime']
    .map((folder) => join(folder, LIBRARY))
    .find((file) => existsSync(file))
  if (installed) return clock(installed, async () => {})
  const work = await mkdtemp(join(tmpdir(), 'procession-faketime-'))
  const remove = () => rm(work, { recursive: true, force: true })
  try {
    return clock(await unpack(work), remove)
  } catch (error) {
    await remove()
    throw new Error(`no ${LIBRARY}: ${(error as Error).message}; install the package libfaketime (or faketime)`)
  }
}

function clock(library: string, remove: () => Promise<void>): MovedClock {
  return {
    how: `libfaketime (${library.includes('procession-faketime') ? 'unpacked' : 'installed'})`,
    env: (offsetMs) => ({
      LD_PRELOAD: library,
      FAKETIME: `${offsetMs < 0 ? '-' : '+'}${Math.abs(offsetMs) / 1_000}s`,
      // Timers run by the monotonic clock, which nobody moves.
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    }),
    remove,
  }
}

async function unpack(work: string): Promise<string> {
  const options = ['-q', '-o', 'Debug::NoLocking=1', '-o', 'APT::Sandbox::User=root']
  await run('apt-get', [...options, 'download', 'libfaketime'], { cwd: work, timeout: 60_000 })
  const [deb] = (await readdir(work)).filter((name) => name.endsWith('.deb'))
  if (deb === undefined) throw new Error('apt-get downloaded nothing')
  const root = join(work, 'root')
  await mkdir(root)
  await run('dpkg', ['-x', join(work, deb), root])
  const files = await readdir(root, { recursive: true })
  const library = files.find((name) => name.endsWith(`/${LIBRARY}`))
  if (library === undefined) throw new Error('the package holds no such library')
  return join(root, library)
}
