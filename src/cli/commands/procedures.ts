import type { Command } from 'commander'
import type { RegisteredVersion } from '../../runs/registry.js'
import { exactVersion } from '../arguments.js'
import type { Cli } from '../cli.js'
import { example } from '../example.js'
import { tableLines } from '../table.js'
import { ago } from '../times.js'

interface ProceduresOptions {
  readonly activate?: ReturnType<typeof exactVersion>
  readonly deactivate?: ReturnType<typeof exactVersion>
}

/** `procedures`: what is registered; also switches versions off and on. */
export function addProceduresCommand(program: Command, cli: Cli): void {
  program
    .command('procedures')
    .description('list the registered procedures')
    .option('--deactivate <name@version>', 'start no new runs of this version; runs that go on keep it', exactVersion)
    .option('--activate <name@version>', 'let a deactivated version be started again', exactVersion)
    .addHelpText('after', example('procession procedures --deactivate deploy_workflow@1.0'))
    .action((options: ProceduresOptions) =>
      cli.withStore(async (store) => {
        const { activate, deactivate } = options
        if (deactivate) await store.deactivate(deactivate.name, deactivate.version)
        if (activate) await store.activate(activate.name, activate.version)
        const items = await store.list()
        cli.output.show({ items }, () => procedureLines(items, cli))
      }),
    )
}

function procedureLines(items: readonly RegisteredVersion[], { output }: Cli): string[] {
  if (items.length === 0) return ['no procedures are registered; "procession register FILE" adds one']
  const { paint } = output
  const rows = items.map((item) => [
    { text: item.name, paint: paint.bold },
    { text: item.version },
    item.active ? { text: 'active', paint: paint.green } : { text: 'deactivated', paint: paint.yellow },
    { text: ago(Date.parse(item.registeredAt)) },
    { text: item.digest.slice(0, 12), paint: paint.dim },
    { text: item.description ?? '' },
  ])
  return tableLines(['NAME', 'VERSION', 'STATE', 'REGISTERED', 'DIGEST', 'DESCRIPTION'], rows, output)
}
