import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

/** By its own name, so that it is found from the source as from the built package. */
const require = createRequire(import.meta.url)

/** The folder of the package, whose `examples/` and `dist/workers/` are shipped with it. */
export const PACKAGE_ROOT: URL = new URL('./', pathToFileURL(require.resolve('procession/package.json')))

/** The version of the package. */
export const PACKAGE_VERSION: string = (require('procession/package.json') as { version: string }).version
