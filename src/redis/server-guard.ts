import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Socket } from 'node:net'

/**
 * What the guard runs. Each line that it reads is the process group of the server, empty while there is none; the end of
 * its input is the end of our process. The group stands without `--`, which the kill of dash does not know. The second `rm` is
 * for a server that was just creating a file as it was killed.
 */
const SCRIPT = `
while read -r line; do group=$line; done
[ -z "$group" ] || kill -9 "-$group"
[ -z "$1" ] || rm -rf -- "$1" || { sleep 1; rm -rf -- "$1"; }
`

/**
 * Ends a server, and removes its folder, when our process is gone, however it went.
 *
 * A handler of `exit` or of signals cannot do that: SIGKILL, and the kernel out of memory, run no handler. So a shell of 1 MB
 * waits at the other end of a pipe that only our process holds open; the kernel closes it with us in every case, and the
 * shell does the rest. It runs in a session of its own, so that Ctrl-C or a signal to our group does not end it first.
 */
export class ServerGuard {
  readonly #shell: ChildProcess

  /** `folder` is removed when our process is gone; undefined for none. */
  constructor(folder: string | undefined) {
    this.#shell = spawn('/bin/sh', ['-c', SCRIPT, 'procession-redis-guard', folder ?? ''], {
      cwd: '/',
      env: { PATH: '/usr/bin:/bin' },
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    })
    // Without a shell, or once somebody killed it, servers are unguarded but work.
    this.#shell.on('error', () => {})
    this.#shell.stdin?.on('error', () => {})
    // It must not keep our process alive, which would wait for its own end.
    this.#shell.unref()
    ;(this.#shell.stdin as Socket | null)?.unref()
  }

  /** Tells the process group to be killed from now on; undefined when there is none. */
  watch(group: number | undefined): void {
    if (this.#shell.stdin?.writable) this.#shell.stdin.write(`${group ?? ''}\n`)
  }

  /** Ends the guard and waits for it; it kills nothing, but removes its folder. */
  async release(): Promise<void> {
    const { pid, exitCode, signalCode } = this.#shell
    if (pid === undefined || exitCode !== null || signalCode !== null) return
    this.#shell.ref()
    const gone = once(this.#shell, 'exit')
    this.watch(undefined)
    this.#shell.stdin?.end()
    await gone
  }
}
