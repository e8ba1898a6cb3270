// The quick start: a collection by dimension alone, two rows, one search.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { connect, freshName, ok } from './common.mjs';

test('quick start', { timeout: 60_000 }, async t => {
  const client = connect();
  const collection_name = freshName();
  t.after(async () => {
    await client.dropCollection({ collection_name });
    await client.closeConnection();
  });
  ok(await client.createCollection({ collection_name, dimension: 8 }));
  const vectors = [
    [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8],
    [0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1],
  ];
  const inserted = ok(await client.insert({
    collection_name,
    data: vectors.map((vector, i) => ({ id: i + 1, vector, text: `sample ${i + 1}` })),
  }));
  assert.equal(Number(inserted.insert_cnt), 2);

  const found = ok(await client.search({
    collection_name, data: vectors[1], limit: 5, output_fields: ['id', 'text'], consistency_level: 0,
  }));
  assert.deepEqual(found.results.map(h => String(h.id)), ['2', '1']);
  assert.equal(found.results[0].text, 'sample 2');
  assert.ok(Math.abs(found.results[0].score - 1) < 1e-5, `cosine with itself is ${found.results[0].score}`);
});
