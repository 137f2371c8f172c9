/**
 * Which actions of this process may run beside others. A job whose worker died is a suspect: its action runs alone, so that
 * another crash is its own and harms nobody. That has its bounds, as the actions beside it may be long, and so may it:
 *
 *     ordinary ones run ──a suspect comes──▶ no further one begins ──they have ended──▶ the suspect runs alone ──▶ …
 *                                                  └─its patience is over──▶ it runs beside them, and bears no blame
 *
 * Between two suspects those that wait go first, so nobody waits for more than one of them.
 */
interface WaitingSuspect {
  readonly go: (alone: boolean) => void
  readonly patience: NodeJS.Timeout
}

export class Solitude {
  /** Actions that run now. */
  #running = 0
  #isAlone = false
  readonly #suspects: WaitingSuspect[] = []
  #others: (() => void)[] = []

  /** An ordinary action begins: at once (undefined), or once the promise resolves. Its end is to be told by `end`. */
  begin(): Promise<void> | undefined {
    if (!this.#isAlone && this.#suspects.length === 0) {
      this.#running++
      return undefined
    }
    return new Promise((resolve) => {
      this.#others.push(resolve)
    })
  }

  end(): void {
    this.#running--
    if (this.#suspects.length > 0) this.#admit()
  }

  /**
   * A suspect's action begins; resolves with whether it is alone. Its patience is with ordinary actions: while another
   * suspect is alone it does not run out. The end is to be told by `endSuspect`.
   */
  beginSuspect(patienceMs: number): Promise<boolean> {
    if (this.#running === 0 && !this.#isAlone) {
      this.#running++
      this.#isAlone = true
      return Promise.resolve(true)
    }
    return new Promise((resolve) => {
      const patience = setTimeout(() => {
        if (this.#isAlone) {
          patience.refresh()
          return
        }
        this.#suspects.splice(this.#suspects.indexOf(suspect), 1)
        this.#running++
        resolve(false)
        this.#admit()
      }, patienceMs)
      const suspect = { go: resolve, patience }
      this.#suspects.push(suspect)
    })
  }

  /** Others may run beside the suspect that is alone. */
  share(): void {
    this.#isAlone = false
    for (const { patience } of this.#suspects) patience.refresh()
    this.#letOthersIn()
    this.#admit()
  }

  /** `wasAlone`: it still was at its end. */
  endSuspect(wasAlone: boolean): void {
    this.#running--
    if (wasAlone) this.share()
    else this.#admit()
  }

  #letOthersIn(): void {
    const others = this.#others
    this.#others = []
    this.#running += others.length
    for (const go of others) go()
  }

  #admit(): void {
    if (this.#isAlone) return
    const next = this.#suspects[0]
    if (!next) {
      this.#letOthersIn()
      return
    }
    if (this.#running > 0) return
    this.#suspects.shift()
    clearTimeout(next.patience)
    this.#running++
    this.#isAlone = true
    next.go(true)
  }
}

/** That of this process: a crash is that of all its workers. */
export const solitude = new Solitude()
