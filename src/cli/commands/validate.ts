import type { Command } from 'commander'
import type { Cli } from '../cli.js'
import { example } from '../example.js'
import { EXIT } from '../exit-codes.js'
import { issueText } from '../failure.js'
import type { Output } from '../output.js'
import { printable } from '../printable.js'
import { type ProcedureInFile, readProcedureFiles } from '../procedure-files.js'

const AFTER_HELP = `
Exit code 1 when there is a fault. Warnings alone are no fault.
${example('procession validate examples/deploy.json')}`

/** `validate FILE…`: every fault and warning of procedures, without a Redis. */
export function addValidateCommand(program: Command, cli: Cli): void {
  program
    .command('validate')
    .description('check procedures: every fault with its place; needs no Redis')
    .argument('<file...>', 'JSON files, each one procedure or a list of them; - for stdin')
    .addHelpText('after', AFTER_HELP)
    .action(async (files: string[]) => {
      const procedures = await readProcedureFiles(files)
      const valid = procedures.every(({ faults }) => faults.length === 0)
      const items = procedures.map(({ procedure, ...item }) => ({ ...item, valid: procedure !== undefined }))
      cli.output.show({ valid, items }, () => procedures.flatMap((item) => procedureLines(item, cli.output)))
      if (!valid) cli.exitCode = EXIT.error
    })
}

function procedureLines({ file, index, name, version, faults, warnings }: ProcedureInFile, output: Output): string[] {
  const { paint } = output
  const place = index === undefined ? file : `${file} [${index}]`
  const subject = name === undefined ? '' : ` ${printable(`${name}@${version ?? '?'}`)}`
  const count = faults.length === 1 ? '1 fault' : `${faults.length} faults`
  const verdict = faults.length === 0 ? paint.green('valid') : paint.red(count)
  const warned = warnings.length === 0 ? '' : `, ${warnings.length} warning${warnings.length === 1 ? '' : 's'}`
  return [
    `${place}:${paint.bold(subject)} ${verdict}${paint.yellow(warned)}`,
    ...faults.map((issue) => `  ${issueText(issue, paint.red('fault'))}`),
    ...warnings.map((issue) => `  ${issueText(issue, paint.yellow('warning'))}`),
  ]
}
