/** What a person calls a task, by the hub's name for it. */
const TITLES: Readonly<Record<string, string>> = {
  'automatic-speech-recognition': 'Speech to text',
  'feature-extraction': 'Semantic search',
  'fill-mask': 'Fill in a word',
  'image-classification': 'Image classification',
  'image-text-to-text': 'Chat about images',
  'question-answering': 'Answers from a text',
  'sentence-similarity': 'Semantic search',
  summarization: 'Summaries',
  'text-classification': 'Text classification',
  'text-generation': 'Chat',
  translation: 'Translation',
  'zero-shot-classification': 'Classification by your labels',
}

/** One that has no title is called as the hub does. */
export const taskTitle = (task: string): string => TITLES[task] ?? task
