import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { NonRetryableError, ProcessionError } from '../kernel/errors.js'
import type { ActionFunction, ActionModules } from './action.js'

/** The functions that a worker can run for `function` actions. */
export class ActionRegistry {
  readonly #modules: ActionModules

  /** Throws `invalid_argument` for anything but modules of functions. */
  constructor(modules: ActionModules = {}) {
    for (const [name, module] of Object.entries(modules))
      if (typeof module !== 'object' || module === null)
        throw new ProcessionError(
          'invalid_argument',
          `actions.${name} is ${typeof module}; give an object of functions, e.g. { ${name}: { validate } }`,
        )
    this.#modules = modules
  }

  /** The function of a module; a final `action_not_found` where there is none. Looks at own properties only. */
  find(module: string, name: string): ActionFunction {
    const functions = Object.hasOwn(this.#modules, module) ? this.#modules[module]! : undefined
    if (!functions) {
      const known = Object.keys(this.#modules)
      throw notFound(
        `module ${JSON.stringify(module)}`,
        known.length > 0 ? `this worker has ${known.join(', ')}` : 'this worker was given none (--actions FILE)',
      )
    }
    const found = Object.hasOwn(functions, name) ? functions[name] : undefined
    if (typeof found === 'function') return found as ActionFunction
    const known = Object.keys(functions).filter((key) => typeof functions[key] === 'function')
    throw notFound(
      `function ${JSON.stringify(name)} in module ${JSON.stringify(module)}`,
      `it has ${known.join(', ') || 'none'}`,
    )
  }
}

function notFound(what: string, known: string): NonRetryableError {
  return new NonRetryableError(`there is no ${what}: ${known}`, 'action_not_found')
}

/**
 * Loads the modules of an actions file: its default export, or its named exports when it has none,
 * e.g. `export const deploy = { validate, build }`. Throws `invalid_argument` naming the file.
 */
async function loadActionsFile(file: string): Promise<ActionModules> {
  const path = resolve(file)
  let loaded: Record<string, unknown>
  try {
    loaded = (await import(pathToFileURL(path).href)) as Record<string, unknown>
  } catch (cause) {
    throw new ProcessionError(
      'invalid_argument',
      `the actions file ${path} cannot be loaded: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    )
  }
  const modules = (loaded.default ?? { ...loaded }) as ActionModules
  if (typeof modules !== 'object' || Object.keys(modules).length === 0)
    throw new ProcessionError(
      'invalid_argument',
      `the actions file ${path} exports nothing; export modules of functions, e.g. export const deploy = { validate, build }`,
    )
  return modules
}

/** The modules of several actions files. Throws `invalid_argument`, also when two have a module of one name. */
export async function loadActionsFiles(files: readonly string[]): Promise<ActionModules> {
  const modules: Record<string, ActionModules[string]> = {}
  for (const file of files)
    for (const [name, module] of Object.entries(await loadActionsFile(file))) {
      if (Object.hasOwn(modules, name))
        throw new ProcessionError('invalid_argument', `${file} has a module ${name}, which a file before it has too`)
      modules[name] = module
    }
  return modules
}
