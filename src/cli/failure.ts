import { CommanderError } from 'commander'
import { type ErrorCode, type Issue, ProcessionError } from '../kernel/errors.js'
import { EXIT } from './exit-codes.js'
import type { Output } from './output.js'
import { printable } from './printable.js'

/** What can go wrong with a command and with no call of the API, so that the catalogue of errors does not have it. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure'

  constructor(
    readonly code: 'workers_failed' | 'demo_timeout',
    message: string,
  ) {
    super(message)
  }
}

interface Failure {
  readonly code: ErrorCode | CommandFailure['code'] | 'usage' | 'internal'
  readonly message: string
  readonly exitCode: number
  readonly issues?: readonly Issue[]
  readonly stack?: string | undefined
}

/** What an error thrown by a command means; undefined for one that says that help or the version was shown. */
function failureOf(error: unknown): Failure | undefined {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return undefined
    // Help shown for want of a command is its own message.
    const message = error.code === 'commander.help' ? '' : error.message.replace(/^error: /, '')
    return { code: 'usage', message, exitCode: EXIT.usage }
  }
  if (error instanceof ProcessionError) {
    const { code, message, issues } = error
    return {
      code,
      message,
      exitCode: code === 'wait_timeout' ? EXIT.waitTimeout : EXIT.error,
      ...(issues.length > 0 && { issues }),
    }
  }
  if (error instanceof CommandFailure) return { code: error.code, message: error.message, exitCode: EXIT.error }
  const { message, stack } = error instanceof Error ? error : { message: String(error), stack: undefined }
  return { code: 'internal', message, stack, exitCode: EXIT.error }
}

/**
 * Tells of an error: on stderr as `error: …` with its code, or with `--json` as the one document on stdout.
 * Returns the exit code. An error that is none of the catalogue is a bug of ours, and comes with its stack.
 */
export function reportFailure(output: Output, error: unknown): number {
  const failure = failureOf(error)
  if (!failure) return EXIT.done
  const { code, message, issues, stack, exitCode } = failure
  if (output.json) {
    output.show({ error: { code, message, ...(issues && { issues }) } }, () => [])
    return exitCode
  }
  if (message !== '') noteError(output, message, code === 'usage' ? undefined : code)
  for (const issue of issues ?? []) output.note(`  ${issueText(issue)}`)
  if (code === 'internal' && stack) output.note(output.errorPaint.dim(stack.split('\n').slice(1).join('\n')))
  return exitCode
}

/** An error on stderr, in the form that all have. */
export function noteError(output: Output, message: string, code?: string): void {
  const { red, dim } = output.errorPaint
  const text = message.split('\n').map(printable).join('\n')
  output.note(`${red('error:')} ${text}${code === undefined ? '' : ` ${dim(`[${code}]`)}`}`)
}

/** A fault on one line; where it comes from a file, as compilers write it, so that editors find the place. */
export function issueText(issue: Issue & { readonly file?: string; readonly line?: number }, kind?: string): string {
  const { path, code, message, file, line } = issue
  const parts = [...(file === undefined ? [] : [`${file}:${line}`]), ...(kind === undefined ? [] : [kind])]
  return [...parts, printable(`${path === '' ? '' : `${path}: `}${message} [${code}]`)].join(': ')
}
