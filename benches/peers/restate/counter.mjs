// The counter of the benchmarks as a Restate virtual object. Its port is the only argument.
import * as restate from "@restatedev/restate-sdk";

// Node before 22 has no Promise.withResolvers, which the SDK calls.
Promise.withResolvers ??= () => {
  let resolvers;
  const promise = new Promise((resolve, reject) => (resolvers = { resolve, reject }));
  return { promise, ...resolvers };
};

const counter = restate.object({
  name: "counter",
  handlers: {
    add: async (ctx, amount) => {
      const total = ((await ctx.get("total")) ?? 0) + amount;
      ctx.set("total", total);
      return total;
    },
  },
});

await restate.serve({ services: [counter], port: Number(process.argv[2]) });
console.log("ready");
