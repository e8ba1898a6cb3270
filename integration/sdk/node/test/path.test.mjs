// The main path of a program: every call answered, and answered right.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { ConsistencyLevelEnum, DataType, RRFRanker, WeightedRanker } from '@zilliz/milvus2-sdk-node';
import { ADDRESS2, connect, freshName, nearest, ok, unit } from './common.mjs';

const DIM = 16;
const Strong = ConsistencyLevelEnum.Strong;
const ids = rows => rows.map(r => Number(r.id));
const range = (from, to) => Array.from({ length: to - from }, (_, i) => from + i);
const row = (vec, id) => ({ id, vec, n: id % 10, word: `w${id % 3}`, doc: { a: id }, tags: [`t${id % 2}`], extra: id * 2 });

/** withCollection runs a test on a collection of n rows that is indexed, loaded and dropped at the end. */
function withCollection(title, options, body) {
  test(title, { timeout: 120_000 }, async t => {
    const client = connect();
    const collection_name = freshName();
    t.after(async () => {
      await client.dropCollection({ collection_name });
      await client.closeConnection();
    });
    const { n = 100, index_type = 'HNSW', metric_type = 'COSINE' } = options;
    ok(await client.createCollection({
      collection_name,
      enable_dynamic_field: true,
      consistency_level: 'Strong',
      fields: [
        { name: 'id', data_type: DataType.Int64, is_primary_key: true },
        { name: 'vec', data_type: DataType.FloatVector, dim: DIM },
        { name: 'n', data_type: DataType.Int32 },
        { name: 'word', data_type: DataType.VarChar, max_length: 32 },
        { name: 'doc', data_type: DataType.JSON },
        { name: 'tags', data_type: DataType.Array, element_type: DataType.VarChar, max_capacity: 4, max_length: 16 },
      ],
    }));
    ok(await client.createIndex({
      collection_name, field_name: 'vec', index_type, metric_type, params: index_type === 'HNSW' ? { M: 16, efConstruction: 100 } : {},
    }));
    ok(await client.loadCollectionSync({ collection_name }));
    const vectors = unit(n, DIM);
    const inserted = ok(await client.insert({ collection_name, data: vectors.map(row) }));
    assert.equal(Number(inserted.insert_cnt), n);
    await body({ client, collection_name, vectors });
  });
}

for (const index_type of ['FLAT', 'HNSW']) {
  withCollection(`search is exact on growing and sealed rows, ${index_type}`, { index_type, n: 300 }, async ({ client, collection_name, vectors }) => {
    const queries = unit(3, DIM, 99);
    const check = async () => {
      const found = ok(await client.search({ collection_name, data: queries, anns_field: 'vec', limit: 10, output_fields: ['id', 'n', 'extra'] }));
      queries.forEach((q, i) => {
        assert.deepEqual(ids(found.results[i]), nearest(vectors, q, 10));
        for (const hit of found.results[i]) {
          assert.equal(hit.n, Number(hit.id) % 10);
          assert.equal(hit.extra, Number(hit.id) * 2);
        }
      });
    };
    await check();
    ok(await client.flushSync({ collection_names: [collection_name] }));
    await check();
    ok(await client.releaseCollection({ collection_name }));
    await assert.rejects(async () => ok(await client.search({ collection_name, data: queries[0], limit: 1 })));
    ok(await client.loadCollectionSync({ collection_name }));
    await check();
  });
}

withCollection('query, get, count and filters', {}, async ({ client, collection_name, vectors }) => {
  const rows = vectors.map(row);
  const cases = [
    ['n == 3', r => r.n === 3],
    ['n in [1, 2] and id > 20', r => [1, 2].includes(r.n) && r.id > 20],
    ['word like "w1%" or id < 5', r => r.word.startsWith('w1') || r.id < 5],
    ['doc["a"] >= 90', r => r.doc.a >= 90],
    ['array_contains(tags, "t1")', r => r.tags.includes('t1')],
    ['extra % 10 == 4', r => r.extra % 10 === 4],
  ];
  for (const sealed of [false, true]) {
    if (sealed) ok(await client.flushSync({ collection_names: [collection_name] }));
    for (const [filter, keep] of cases) {
      const want = rows.filter(keep).map(r => r.id);
      const got = ok(await client.query({ collection_name, filter, output_fields: ['id'], limit: 1000 }));
      assert.deepEqual(ids(got.data), want, filter);
      const counted = ok(await client.count({ collection_name, expr: filter }));
      assert.equal(Number(counted.data), want.length, filter);
      const found = ok(await client.search({ collection_name, data: vectors[0], limit: 5, filter }));
      assert.deepEqual(ids(found.results), nearest(want.map(i => vectors[i]), vectors[0], 5).map(i => want[i]), filter);
    }
    const got = ok(await client.get({ collection_name, ids: [7, 10], output_fields: ['*'] }));
    assert.deepEqual(ids(got.data), [7, 10]);
    assert.deepEqual(got.data[0].doc, { a: 7 });
    assert.deepEqual(got.data[0].tags, ['t1']);
    got.data[0].vec.forEach((x, i) => assert.ok(Math.abs(x - vectors[7][i]) < 1e-6));
  }
});

withCollection('template values in filters', {}, async ({ client, collection_name }) => {
  const got = ok(await client.query({ collection_name, filter: 'n in {some} and id < {top}', exprValues: { some: [1, 2], top: 20 }, output_fields: ['id'], limit: 100 }));
  assert.deepEqual(ids(got.data), [1, 2, 11, 12]);
});

withCollection('upsert and delete', {}, async ({ client, collection_name, vectors }) => {
  for (const sealed of [false, true]) {
    if (sealed) ok(await client.flushSync({ collection_names: [collection_name] }));
    const base = sealed ? 40 : 20;
    const v = unit(1, DIM, base)[0];
    const up = ok(await client.upsert({ collection_name, data: [{ ...row(v, base), word: 'new' }] }));
    assert.equal(Number(up.upsert_cnt), 1);
    const one = ok(await client.query({ collection_name, filter: `id == ${base}`, output_fields: ['word', 'vec'], limit: 10 }));
    assert.equal(one.data.length, 1);
    assert.equal(one.data[0].word, 'new');
    const found = ok(await client.search({ collection_name, data: v, limit: 1 }));
    assert.deepEqual(ids(found.results), [base]);

    ok(await client.delete({ collection_name, ids: [base + 1] }));
    ok(await client.delete({ collection_name, filter: `id in [${base + 2}, ${base + 3}]` }));
    const left = ok(await client.query({ collection_name, filter: `id >= ${base} and id < ${base + 5}`, output_fields: ['id'], limit: 10 }));
    assert.deepEqual(ids(left.data), [base, base + 4]);
  }
  const all = ok(await client.count({ collection_name }));
  assert.equal(Number(all.data), vectors.length - 6);
});

withCollection('partitions', { n: 10 }, async ({ client, collection_name }) => {
  const partition_name = 'p1';
  ok(await client.createPartition({ collection_name, partition_name }));
  const shown = ok(await client.showPartitions({ collection_name }));
  assert.deepEqual(shown.data.map(p => p.name).sort(), ['_default', 'p1']);
  assert.equal((await client.hasPartition({ collection_name, partition_name })).value, true);
  assert.equal((await client.hasPartition({ collection_name, partition_name: 'p2' })).value, false);
  const v = unit(5, DIM, 3);
  ok(await client.insert({ collection_name, partition_name, data: v.map((x, i) => row(x, 1000 + i)) }));
  const got = ok(await client.query({ collection_name, partition_names: ['p1'], filter: 'id >= 0', output_fields: ['id'], limit: 100 }));
  assert.deepEqual(ids(got.data), range(1000, 1005));
  const found = ok(await client.search({ collection_name, partition_names: ['p1'], data: v[0], limit: 20 }));
  assert.deepEqual(ids(found.results).sort(), range(1000, 1005));
  ok(await client.releasePartitions({ collection_name, partition_names: ['p1'] }));
  ok(await client.dropPartition({ collection_name, partition_name }));
  assert.equal(Number(ok(await client.count({ collection_name })).data), 10);
});

withCollection('aliases, renaming, databases', { n: 10 }, async ({ client, collection_name }) => {
  const alias = collection_name + '_a';
  ok(await client.createAlias({ collection_name, alias }));
  assert.equal(Number(ok(await client.count({ collection_name: alias })).data), 10);
  assert.equal(ok(await client.describeAlias({ collection_name, alias })).collection, collection_name);
  assert.deepEqual(ok(await client.listAliases({ collection_name })).aliases, [alias]);
  ok(await client.dropAlias({ alias }));

  const renamed = collection_name + '_r';
  ok(await client.renameCollection({ collection_name, new_collection_name: renamed }));
  assert.equal((await client.hasCollection({ collection_name })).value, false);
  assert.equal(Number(ok(await client.count({ collection_name: renamed })).data), 10);
  ok(await client.renameCollection({ collection_name: renamed, new_collection_name: collection_name }));

  const db_name = 'db_' + collection_name;
  ok(await client.createDatabase({ db_name }));
  assert.ok(ok(await client.listDatabases()).db_names.includes(db_name));
  const other = connect(ADDRESS2, { database: db_name });
  ok(await other.createCollection({ collection_name, dimension: DIM }));
  assert.deepEqual(ok(await other.showCollections()).data.map(c => c.name), [collection_name]);
  ok(await other.dropCollection({ collection_name }));
  await other.closeConnection();
  ok(await client.dropDatabase({ db_name }));
});

withCollection('describe, statistics, states', { n: 50 }, async ({ client, collection_name }) => {
  const d = ok(await client.describeCollection({ collection_name }));
  assert.equal(d.collection_name, collection_name);
  assert.equal(d.schema.enable_dynamic_field, true);
  assert.deepEqual(d.schema.fields.map(f => f.name), ['id', 'vec', 'n', 'word', 'doc', 'tags']);
  ok(await client.flushSync({ collection_names: [collection_name] }));
  const stats = ok(await client.getCollectionStatistics({ collection_name }));
  assert.equal(Number(stats.data.row_count), 50);
  const index = ok(await client.describeIndex({ collection_name, field_name: 'vec' }));
  assert.equal(index.index_descriptions.length, 1);
  const params = Object.fromEntries(index.index_descriptions[0].params.map(p => [p.key, p.value]));
  assert.equal(params.index_type, 'HNSW');
  assert.equal(params.metric_type, 'COSINE');
  assert.equal(ok(await client.getLoadState({ collection_name })).state, 'LoadStateLoaded');
  ok(await client.releaseCollection({ collection_name }));
  assert.equal(ok(await client.getLoadState({ collection_name })).state, 'LoadStateNotLoad');
});

test('hybrid search', { timeout: 60_000 }, async t => {
  const client = connect();
  const collection_name = freshName();
  t.after(async () => {
    await client.dropCollection({ collection_name });
    await client.closeConnection();
  });
  ok(await client.createCollection({
    collection_name,
    consistency_level: 'Strong',
    fields: [
      { name: 'id', data_type: DataType.Int64, is_primary_key: true },
      { name: 'a', data_type: DataType.FloatVector, dim: DIM },
      { name: 'b', data_type: DataType.FloatVector, dim: 8 },
    ],
    index_params: [
      { field_name: 'a', index_type: 'FLAT', metric_type: 'COSINE' },
      { field_name: 'b', index_type: 'HNSW', metric_type: 'IP', params: { M: 16, efConstruction: 100 } },
    ],
  }));
  ok(await client.loadCollectionSync({ collection_name }));
  const a = unit(100, DIM), b = unit(100, 8, 8);
  ok(await client.insert({ collection_name, data: a.map((v, id) => ({ id, a: v, b: b[id] })) }));
  const qa = unit(1, DIM, 70)[0], qb = unit(1, 8, 71)[0];
  const scores = new Map();
  for (const ranked of [nearest(a, qa, 20), nearest(b, qb, 20)]) {
    ranked.forEach((id, i) => scores.set(id, (scores.get(id) ?? 0) + 1 / (60 + i + 1)));
  }
  const want = [...scores.values()].sort((x, y) => y - x).slice(0, 5);
  const data = [{ anns_field: 'a', data: qa, limit: 20 }, { anns_field: 'b', data: qb, limit: 20 }];
  const got = ok(await client.search({ collection_name, data, rerank: RRFRanker(60), limit: 5, consistency_level: Strong }));
  assert.equal(got.results.length, 5);
  got.results.forEach((hit, i) => {
    assert.ok(Math.abs(hit.score - want[i]) < 1e-6, `place ${i}: ${hit.score}, want ${want[i]}`);
    assert.ok(Math.abs(hit.score - scores.get(Number(hit.id))) < 1e-6);
  });
  const weighted = ok(await client.search({ collection_name, data, rerank: WeightedRanker([0.8, 0.2]), limit: 5, consistency_level: Strong }));
  assert.equal(weighted.results.length, 5);
});

withCollection('iterators', { n: 250 }, async ({ client, collection_name, vectors }) => {
  const query = await client.queryIterator({ collection_name, filter: 'n < 8', batchSize: 60, output_fields: ['n'] });
  const got = [];
  for await (const page of query) got.push(...ids(page));
  assert.deepEqual(got.sort((x, y) => x - y), range(0, 250).filter(i => i % 10 < 8));

  const search = await client.searchIterator({ collection_name, data: vectors[0], batchSize: 64, limit: 200 });
  const hits = [];
  for await (const page of search) hits.push(...ids(page));
  assert.equal(hits.length, 200);
  assert.equal(new Set(hits).size, 200);
});
