'use strict';

// Processes that publish to each other while something goes wrong between them. Whatever it is, at the end each has
// received, or counts as lost, what the others have published and do not count as lost themselves.

const { connected, until, upTo } = require('./broker.js');

/** So many processes that know of each other, each with a client that is subscribed to `topics`. */
async function company(broker, count, topics = ['news']) {
  const members = [];
  for (let index = 0; index < count; index++) {
    const member = await connected(broker, topics);
    members.push(member);
    member.client = await member.enter();
    member.published = 0;
  }
  await Promise.all(members.map((member) => until(member, ({ subscribed }) => subscribed === topics.length)));
  // What a process loses of another one that it has never heard of, it cannot know.
  for (const topic of topics) await sayAll(members, topic, 'start');
  for (const { client } of members) for (const _ of topics) for (const __ of members) await upTo(client, 'start');
  return members;
}

async function say(member, text, topic = 'news') {
  member.published += 1;
  await member.order('publish', topic, text);
}

async function sayAll(members, topic, text) {
  for (const member of members) await say(member, text, topic);
}

async function publishMany(member, count, length, topic = 'news') {
  member.published += count;
  await member.order('publishMany', topic, 0, count, length);
}

/** Waits until all is sent, and expects that every message is accounted for in every process. Returns their statistics. */
async function account(members, topics = ['news']) {
  for (const member of members) {
    const { lost } = await until(member, ({ state, pending }) => state === 'connected' && pending === 0);
    await until(member, ({ messages }) => messages.sent === member.published - lost.sent);
  }
  // After these, nobody can have missed anything without knowing.
  for (const topic of topics) await sayAll(members, topic, 'end');
  const all = await Promise.all(members.map((member) => until(member, ({ messages }) => messages.sent > 0)));
  for (const [number, member] of members.entries()) {
    const others = members.map((other, index) => (index === number ? 0 : other.published - all[index].lost.sent));
    const expected = others.reduce((sum, count) => sum + count, 0);
    const accounted = ({ messages, lost }) => messages.received + lost.received;
    expect(accounted(await until(member, (stats) => accounted(stats) >= expected))).toBe(expected);
  }
  return Promise.all(members.map((member) => member.order('stats')));
}

/** Waits until each process has sent and received something more. */
async function progress(members) {
  for (const member of members) {
    const { messages: before } = await member.order('stats');
    await until(member, ({ messages }) => messages.sent > before.sent && messages.received > before.received);
  }
}

module.exports = { account, company, progress, publishMany, say };
