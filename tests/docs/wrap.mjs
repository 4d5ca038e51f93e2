// Stands before a JavaScript example of the documents: the address of the model list, as the examples name it.
const url = process.env.url
