// Reports on jobs as their workers would, each by a connection of its own: a process apart, so that what it costs is told
// apart from what the page costs. It is told what to do by a message, and answers with one.
import { Agent, request } from "node:http";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";

const agent = new Agent({ keepAlive: true });

/** Records a report; resolves to whether the log tells of it. */
function report({ address, token }, job, report) {
  const body = JSON.stringify({ reports: [{ attempt: 1, ...report }] });
  const headers = {
    authorization: `Bearer ${token}`,
    "content-type": "application/json",
    "content-length": String(body.length),
  };
  return new Promise((resolve, reject) => {
    const asked = request(
      `http://${address}/api/jobs/${job}/reports`,
      { method: "POST", agent, headers },
      (response) => {
        let answer = "";
        response.setEncoding("utf8").on("data", (piece) => (answer += piece));
        response.on("end", () => {
          if (response.statusCode === 200) resolve(JSON.parse(answer).reports[0].event_id !== null);
          else reject(new Error(`${String(response.statusCode)}: ${answer}`));
        });
      },
    );
    asked.on("error", reject).end(body);
  });
}

/** One worker: report after report at its pace. What is late goes at once, and the one after it at its own time again. */
async function work(order, job, { from, until }) {
  const expected = (until - from) / order.every;
  let [rounds, logged] = [0, 0];
  for (; Date.now() < until; rounds++) {
    const said = { progress: Math.min(0.99, rounds / expected), processed: rounds, unit: "rows" };
    if (await report(order, job, { ...said, message: `row ${String(rounds)} is in` })) logged++;
    await sleep(Math.max(0, from + (rounds + 1) * order.every - Date.now()));
  }
  return { rounds, logged };
}

process.once("message", async (order) => {
  const [began, apart] = [Date.now(), order.every / order.jobs.length];
  const done = await Promise.all(
    order.jobs.map(async (job, i) => {
      await sleep(i * apart);
      return work(order, job, { from: began + i * apart, until: began + order.forMs });
    }),
  );
  process.send({ rounds: done.map((d) => d.rounds), logged: done.reduce((sum, d) => sum + d.logged, 0) });
  process.once("disconnect", () => process.exit());
});
