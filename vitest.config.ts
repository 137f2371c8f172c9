import { configDefaults, defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    // One Redis for the ordinary test files; see test/support/global-setup.ts.
    globalSetup: ['test/support/global-setup.ts'],
    include: ['test/**/*.test.ts'],
    // Minutes long: run by name, `npx vitest run --exclude '' test/chaos/NAME.long.test.ts`.
    exclude: [...configDefaults.exclude, '**/*.long.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    // Far more than any test takes: other tenants of a machine can slow it down tenfold.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
