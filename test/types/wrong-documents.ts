/** A procedure document that must not compile. */
export interface WrongDocument {
  /** What is wrong with it, as the end of "refuses …". */
  readonly what: string
  /** TypeScript of the document; `«…»` marks where the error must be. */
  readonly document: string
  /** What the error must say. */
  readonly says: string
}

/** A document around the states in `text`, which begins in state `a`. */
const withStates = (text: string) =>
  `{ name: 'p', version: '1.0', definition: { initial_state: 'a', states: ${text} } }`

const withAction = (text: string) => withStates(`{ a: { action: ${text} } }`)

const withTransition = (text: string) =>
  withStates(`{ a: { transitions: [{ event: 'go', target: 'b' }, ${text}] }, b: {} }`)

const withGuard = (text: string) => withTransition(`{ event: 'go', target: 'a', guard: ${text} }`)

export const WRONG_DOCUMENTS: readonly WrongDocument[] = [
  {
    what: 'an initial state that is not there',
    document: `{ name: 'p', version: '1.0', definition: { «initial_state»: 'bild', states: { build: {}, done: {} } } }`,
    says: `Type '"bild"' is not assignable to type '"build" | "done"'. Did you mean '"build"'?`,
  },
  {
    what: 'a target that is not there',
    document: withStates(
      `{ a: { transitions: [{ event: 'success', target: 'done' }, { event: 'error', «target»: 'faild' }] }, done: {}, failed: {} }`,
    ),
    says: `Type '"faild"' is not assignable to type '"a" | "done" | "failed"'. Did you mean '"failed"'?`,
  },
  {
    what: 'a target that is no string',
    document: withTransition(`{ event: 'go', «target»: null }`),
    says: `Type 'null' is not assignable to type '"a" | "b"'.`,
  },
  {
    what: 'a transition without a target',
    document: withTransition(`«{» event: 'stop' }`),
    says: `Property 'target' is missing in type '{ event: string; }' but required in type '{ readonly target: "a" | "b"; }'.`,
  },
  {
    what: 'a document without a name',
    document: `«{» version: '1.0', definition: { initial_state: 'a', states: { a: {} } } }`,
    says: `Property 'name' is missing`,
  },
  {
    what: 'a definition without states',
    document: `{ name: 'p', version: '1.0', «definition»: { initial_state: 'a' } }`,
    says: `Property 'states' is missing`,
  },
  {
    what: 'an unknown key of a procedure',
    document: `{ name: 'p', version: '1.0', «timeout»: 5, definition: { initial_state: 'a', states: { a: {} } } }`,
    says: `"a procedure has no key 'timeout'"`,
  },
  {
    what: 'an unknown key of a limit',
    document: `{ name: 'p', version: '1.0', rate: { limit: 1, per_ms: 9, «per»: 1 }, definition: { initial_state: 'a', states: { a: {} } } }`,
    says: `"rate has no key 'per'"`,
  },
  {
    what: 'an unknown key of a definition',
    document: `{ name: 'p', version: '1.0', definition: { initial_state: 'a', «contextSchema»: {}, states: { a: {} } } }`,
    says: `"a definition has no key 'contextSchema'"`,
  },
  {
    what: 'an unknown key of a state',
    document: withStates(`{ a: { «on_enter»: { type: 'noop' } } }`),
    says: `"a state has no key 'on_enter'"`,
  },
  {
    what: 'an unknown key of a transition',
    document: withTransition(`{ event: 'go', target: 'a', «when»: true }`),
    says: `"a transition has no key 'when'"`,
  },
  {
    what: 'an unknown key of a retry policy',
    document: withStates(`{ a: { retry: { «retries»: 3 } } }`),
    says: `"a retry policy has no key 'retries'"`,
  },
  {
    what: 'an unknown key of an action',
    document: withAction(`{ type: 'sleep', ms: 5, «seconds»: 5 }`),
    says: `"a sleep action has no key 'seconds'"`,
  },
  {
    what: 'a key of another action in a function without a type',
    document: withAction(`{ module: 'm', function: 'f', «level»: 'info' }`),
    says: `"a function action has no key 'level'"`,
  },
  {
    what: 'an unknown key of a rollback',
    document: withStates(`{ a: { rollback: { module: 'm', function: 'f', «argument»: [] } } }`),
    says: `"a function action has no key 'argument'"`,
  },
  {
    what: 'an unknown key of the retry policy of a rollback',
    document: withStates(`{ a: { rollback: { module: 'm', function: 'f', retry: { «times»: 1 } } } }`),
    says: `"a retry policy has no key 'times'"`,
  },
  {
    what: 'an unknown key of a rule',
    document: withAction(
      `{ type: 'validate', rules: [{ field: 'n', op: 'exists' }, { field: 'n', op: 'exists', «text»: '' }] }`,
    ),
    says: `"a rule has no key 'text'"`,
  },
  {
    what: 'an unknown key in a nested guard',
    document: withGuard(`{ all: [{ not: { any: ['n > 1', { field: 'n', op: 'eq', value: 1, «than»: 1 }] } }] }`),
    says: `"a condition has no key 'than'"`,
  },
  {
    what: 'a guard of two forms',
    document: withGuard(`{ any: ['n > 1'], «field»: 'n' }`),
    says: `"a guard {any} has no key 'field'"`,
  },
  {
    what: 'an unknown key of something that was made elsewhere',
    document: withStates(`{ a: { «retry»: Object.freeze({ retries: 3 }) } }`),
    says: `"a retry policy has no key 'retries'"`,
  },
  {
    what: 'an unknown key beside something spread',
    document: withAction(`{ ...{ type: 'sleep', ms: 5 } as const, «seconds»: 5 }`),
    says: `"a sleep action has no key 'seconds'"`,
  },
  {
    what: 'an unknown action type',
    document: withAction(`{ «type»: 'teleport' }`),
    says: `Type '"teleport"' is not assignable to type '"conditional" |`,
  },
  {
    what: 'an action without a type',
    document: withStates(`{ a: { «action»: {} } }`),
    says: `Property 'type' is missing`,
  },
  {
    what: 'an action that lacks a key',
    document: withStates(`{ a: { «action»: { type: 'sleep' } } }`),
    says: `Property 'ms' is missing`,
  },
  {
    what: 'a function in place of an action',
    document: withStates(`{ a: { «action»: () => 1 } }`),
    says: `Type '() => number' is not assignable`,
  },
  {
    what: 'a value of another type',
    document: withAction(`{ type: 'sleep', «ms»: '5' }`),
    says: `Type 'string' is not assignable to type 'number'.`,
  },
  {
    what: 'a word that is none of the known',
    document: withStates(`{ a: { «outcome»: 'failed' } }`),
    says: `Type '"failed"' is not assignable to type '"failure" | "success"'.`,
  },
  {
    what: 'an operator that there is not',
    document: withGuard(`{ field: 'n', «op»: '>', value: 1 }`),
    says: `Type '">"' is not assignable to type '"contains" |`,
  },
  {
    what: 'a guard that is code',
    document: withTransition(`{ event: 'go', target: 'a', «guard»: () => true }`),
    says: `Type '() => boolean' is not assignable`,
  },
  {
    what: 'states in an array',
    document: `{ name: 'p', version: '1.0', definition: { initial_state: '0', «states»: [{}] } }`,
    says: `Index signature for type 'string' is missing in type '{}[]'.`,
  },
  {
    what: 'a state that is an array',
    document: withStates(`{ «a»: [] }`),
    says: `has no properties in common`,
  },
  {
    what: 'a value that is no JSON',
    document: withStates(`{ a: { metadata: { «at»: new Date(0) } } }`),
    says: `Type 'Date' is not assignable to type 'ReadonlyJson'.`,
  },
  {
    what: 'undefined in place of a key left out',
    document: withStates(`{ a: { «timeout_ms»: undefined } }`),
    says: `Type 'undefined' is not assignable to type 'number'.`,
  },
]
