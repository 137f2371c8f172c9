import type { Command } from 'commander'
import type { ProceduralStore } from '../runs/store.js'
import { EXIT } from './exit-codes.js'
import type { Output } from './output.js'
import { type Settings, settingsOf, withStore } from './settings.js'

/** What every command gets: where to write, where the runs are, and the exit code that it leaves behind. */
export class Cli {
  readonly output: Output
  exitCode: number = EXIT.done
  readonly #program: Command

  constructor(program: Command, output: Output) {
    this.#program = program
    this.output = output
  }

  get settings(): Settings {
    return settingsOf(this.#program)
  }

  /** Does some work with a store, and closes it. */
  withStore<T>(work: (store: ProceduralStore) => Promise<T>, options: { readonly create?: boolean } = {}): Promise<T> {
    return withStore(this.settings, work, options)
  }
}
