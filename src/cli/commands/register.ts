import type { Command } from 'commander'
import { ProcessionError } from '../../kernel/errors.js'
import type { Registration } from '../../runs/registry.js'
import type { ProceduralStore } from '../../runs/store.js'
import type { Cli } from '../cli.js'
import { example } from '../example.js'
import { issueText } from '../failure.js'
import { type LocatedIssue, type ProcedureInFile, readProcedureFiles } from '../procedure-files.js'

/** What was registered from where. */
interface Registered extends Omit<Registration, 'warnings'> {
  readonly file: string
  readonly warnings: readonly LocatedIssue[]
}

const AFTER_HELP = `
All files are checked before anything is stored.
${example('procession register examples/*.json')}`

/** `register FILE…`: stores procedures, so that runs of them can be started. Nothing is stored when one has a fault. */
export function addRegisterCommand(program: Command, cli: Cli): void {
  program
    .command('register')
    .description('store procedures; a version that is there with the same content is left as it is')
    .argument('<file...>', 'JSON files, each one procedure or a list of them; - for stdin')
    .addHelpText('after', AFTER_HELP)
    .action(async (files: string[]) => {
      const procedures = await readProcedureFiles(files)
      refuseFaults(procedures)
      await cli.withStore(async (store) => {
        const items: Registered[] = []
        for (const procedure of procedures) items.push(await register(store, procedure))
        cli.output.show({ items }, () => items.map((item) => `registered ${item.name}@${item.version}`))
        if (!cli.output.json) noteWarnings(cli, items)
      })
    })
}

async function register(store: ProceduralStore, { procedure, file, warnings }: ProcedureInFile): Promise<Registered> {
  const { name, version, digest } = await store.register(procedure)
  return { file, name, version, digest, warnings }
}

function refuseFaults(procedures: readonly ProcedureInFile[]): void {
  const faulty = procedures.filter(({ faults }) => faults.length > 0)
  if (faulty.length === 0) return
  const issues = faulty.flatMap(({ faults }) => faults)
  const notYet = issues.every(({ code }) => code === 'not_supported_yet')
  const files = [...new Set(faulty.map(({ file }) => file))].join(', ')
  const count = issues.length === 1 ? '1 fault' : `${issues.length} faults`
  throw new ProcessionError(
    notYet ? 'not_supported_yet' : 'invalid_schema',
    `${count} in ${files}; nothing was registered`,
    { issues },
  )
}

function noteWarnings({ output }: Cli, items: readonly Registered[]): void {
  for (const { warnings } of items)
    for (const warning of warnings) output.note(`  ${issueText(warning, output.errorPaint.yellow('warning'))}`)
}
