//! The functions of section A, as the core and the worker compute them.

use nova_proto_core::messages::{Found, SymbolHit, SymbolKind, merge};
use serde::Deserialize;
use serde_json::{Value, json};

use nova_conformance_judge::subject::Trouble;

/// The value of a function.
pub(super) fn compute(function: &str, args: &Value) -> Result<Value, Trouble> {
    match function {
        "order" => order(&read::<Order>(args)?.hits),
        "merge" => merged(read(args)?),
        #[cfg(feature = "nova")]
        _ => of_worker::compute(function, args),
        #[cfg(not(feature = "nova"))]
        _ => Err(Trouble::Unsupported(format!("compute {function}"))),
    }
}

fn read<'a, T: Deserialize<'a>>(args: &'a Value) -> Result<T, Trouble> {
    T::deserialize(args).map_err(|error| Trouble::Broken(format!("arguments: {error}")))
}

fn kind(number: usize) -> Result<SymbolKind, Trouble> {
    SymbolKind::ALL.get(number).copied().ok_or_else(|| Trouble::Broken(format!("no kind {number}")))
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct Hit {
    name: String,
    kind: usize,
    container: String,
    path: String,
    line: u32,
    column: u32,
    score: u32,
}

impl Hit {
    fn typed(&self) -> Result<SymbolHit, Trouble> {
        let Self { name, container, path, line, column, score, .. } = self.clone();
        Ok(SymbolHit { name, kind: kind(self.kind)?, container, path, line, column, score })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    hits: Vec<Hit>,
}

fn order(hits: &[Hit]) -> Result<Value, Trouble> {
    let hits = hits.iter().map(Hit::typed).collect::<Result<Vec<_>, _>>()?;
    let mut places: Vec<usize> = (0..hits.len()).collect();
    places.sort_by_key(|&place| hits[place].key());
    Ok(places.into())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Merge {
    limit: usize,
    answers: Vec<Part>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    hits: Vec<Hit>,
    truncated: bool,
}

fn merged(args: Merge) -> Result<Value, Trouble> {
    let answer = |part: &Part| {
        let hits = part.hits.iter().map(Hit::typed).collect::<Result<_, _>>()?;
        Ok(((), Found { hits, truncated: part.truncated }))
    };
    let answers = args.answers.iter().map(answer).collect::<Result<Vec<_>, Trouble>>()?;
    let merged = merge(answers, args.limit);
    let hits: Vec<Value> = merged.hits.iter().map(|((), hit)| shown(hit)).collect();
    Ok(json!({"hits": hits, "truncated": merged.truncated}))
}

fn shown(hit: &SymbolHit) -> Value {
    json!({"name": hit.name, "kind": hit.kind as u8, "container": hit.container, "path": hit.path, "line": hit.line,
           "column": hit.column, "score": hit.score})
}

/// What the worker computes, and not the core.
#[cfg(feature = "nova")]
mod of_worker {
    use nova_worker::index::{KindSet, Query};
    use nova_worker::{content_hash, manifest_digest};
    use serde::Deserialize;
    use serde_json::Value;

    use super::{Trouble, kind, read};
    use nova_conformance_judge::vector::{from_hex, to_hex};

    pub(super) fn compute(function: &str, args: &Value) -> Result<Value, Trouble> {
        match function {
            "score" => score(&read(args)?),
            "content_hash" => Ok(to_hex(&content_hash(&read::<ContentHash>(args)?.text)).into()),
            "digest" => digest(&read::<Digest>(args)?.files),
            _ => Err(Trouble::Unsupported(format!("compute {function}"))),
        }
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Score {
        query: String,
        name: String,
        kind: usize,
        container: String,
        path: String,
        /// Whether a type encloses the symbol.
        #[serde(default)]
        nested: bool,
    }

    fn score(args: &Score) -> Result<Value, Trouble> {
        let query =
            Query::parse(&args.query, KindSet::ALL).map_err(|error| Trouble::Broken(error.to_string()))?;
        let score = query.score(&args.name, kind(args.kind)?, &args.container, !args.nested, &args.path);
        Ok(score.into())
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct ContentHash {
        text: String,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Digest {
        files: Vec<Hashed>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Hashed {
        path: String,
        hash: String,
    }

    fn digest(files: &[Hashed]) -> Result<Value, Trouble> {
        let pair = |file: &Hashed| -> Option<_> { from_hex(&file.hash).ok()?.try_into().ok() };
        let hashes: Option<Vec<[u8; 16]>> = files.iter().map(pair).collect();
        let hashes = hashes.ok_or_else(|| Trouble::Broken("a hash has 16 bytes".to_owned()))?;
        let files = files.iter().map(|file| file.path.as_str()).zip(hashes);
        Ok(to_hex(&manifest_digest(files)).into())
    }
}
