// Vectors of every type, given and returned as the SDK does by itself.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { DataType } from '@zilliz/milvus2-sdk-node';
import { connect, freshName, ok, unit } from './common.mjs';

const DIM = 16, N = 200;

test('vectors of every type', { timeout: 120_000 }, async t => {
  const client = connect();
  const collection_name = freshName();
  t.after(async () => {
    await client.dropCollection({ collection_name });
    await client.closeConnection();
  });
  // Quarters of whole numbers have a place in every type of numbers; adding 0 makes -0 one.
  const numbers = unit(N, DIM, 21).map(v => v.map(x => Math.round(x * 40) / 4 + 0));
  const fields = {
    half: { type: DataType.Float16Vector, metric: 'COSINE', make: i => numbers[i] },
    brain: { type: DataType.BFloat16Vector, metric: 'L2', make: i => numbers[i] },
    small: { type: DataType.Int8Vector, metric: 'L2', make: i => numbers[i].map(x => x * 4) },
    bits: { type: DataType.BinaryVector, metric: 'HAMMING', make: i => [i % 256, (i * 7) % 256] },
  };
  ok(await client.createCollection({
    collection_name,
    consistency_level: 'Strong',
    fields: [
      { name: 'id', data_type: DataType.Int64, is_primary_key: true },
      ...Object.entries(fields).map(([name, f]) => ({ name, data_type: f.type, dim: DIM })),
    ],
  }));
  for (const [field_name, f] of Object.entries(fields)) {
    ok(await client.createIndex({ collection_name, field_name, index_type: 'AUTOINDEX', metric_type: f.metric }));
  }
  ok(await client.loadCollectionSync({ collection_name }));
  const row = i => Object.fromEntries([['id', i], ...Object.entries(fields).map(([name, f]) => [name, f.make(i)])]);
  ok(await client.insert({ collection_name, data: Array.from({ length: N }, (_, i) => row(i)) }));
  const check = async () => {
    for (const [name, f] of Object.entries(fields)) {
      const asked = [3, 150];
      const found = ok(await client.search({ collection_name, data: asked.map(f.make), anns_field: name, limit: 4, output_fields: ['id', name] }));
      asked.forEach((id, q) => {
        const hit = found.results[q][0];
        assert.equal(Number(hit.id), id, name);
        assert.deepEqual(Array.from(hit[name]), f.make(id), name);
      });
    }
    const rows = ok(await client.query({ collection_name, filter: 'id in [5, 199]', output_fields: Object.keys(fields) })).data;
    for (const r of rows) {
      for (const [name, f] of Object.entries(fields)) {
        assert.deepEqual(Array.from(r[name]), f.make(Number(r.id)), name);
      }
    }
  };
  await check();
  ok(await client.flushSync({ collection_names: [collection_name] }));
  await check();
});
