/** The same package for `import`: one copy of every class, whoever loads it. */
export * from './index.js'
