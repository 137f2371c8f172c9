import type { Command } from 'commander'
import type { Cli } from '../cli.js'
export function addDemoCommand(program: Command, cli: Cli): void {
  program.command('demo').action(() => {
    void cli
  })
}
