//! Whether git still says what was judged: asked right before each deed, since looking at every region takes minutes and a rollback takes seconds. It owns what of a
//! moved branch speaks for an AMI; it refuses to judge anew.

use super::{record::Record, subject::Subject};
use crate::ledger::{Books, BooksRequest};

/// The protected branch as it was read.
pub struct Recheck {
    request: BooksRequest,
    commit: String,
}

/// Why a deed is left undone.
pub enum Objection {
    /// The branch moved, and speaks for the AMI or its run.
    Moved(String),
    /// It cannot be asked.
    Unknown(String),
}

impl Recheck {
    /// Of the commit that `books` were read from.
    pub fn of(request: &BooksRequest, books: &Books) -> Self {
        Self { request: request.clone(), commit: books.commit().to_owned() }
    }

    /// What the branch by now says against a deed. `before`: what was judged by.
    pub async fn objection(&self, before: &Record, subject: &Subject) -> Option<Objection> {
        let unknown = |error: crate::ledger::LedgerError| {
            let words = crate::model::cause::chain(&error);
            Some(Objection::Unknown(format!("what the protected branch says is not known any more: {words}")))
        };
        let books = match Books::open(&self.request).await {
            Ok(books) if books.commit() == self.commit => return None,
            Ok(books) => books,
            Err(error) => return unknown(error),
        };
        let now = match Record::read(&books).await {
            Ok(record) => record,
            Err(error) => return unknown(error),
        };
        speaks_for(before, &now, subject).map(Objection::Moved)
    }
}

/// What `now` says for an AMI that `before` did not.
fn speaks_for(before: &Record, now: &Record, subject: &Subject) -> Option<String> {
    let id = &subject.ami.id;
    if let Some(image) = now.gold_of(id) {
        return Some(format!("gold of image {image} by now"));
    }
    if now.living_parents().contains_key(id) && !before.living_parents().contains_key(id) {
        return Some("by now git calls an AMI gold or vetted that was built on it".to_owned());
    }
    let claim = subject.claim.as_ref().ok()?;
    let (image, run) = (&claim.image, claim.run);
    let said = (before.state(image, run), now.state(image, run));
    let differs = said.0 != said.1 || before.is_rollback_target(image, run) != now.is_rollback_target(image, run);
    let lost = now.unaccounted(&subject.ami, Some(image), Some(run));
    match (differs, lost) {
        (true, _) => Some("the lock moved its run meanwhile; run prune again".to_owned()),
        (false, lost) => lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ledger::{Environment, lock_file, world},
        model::{State, lock::Lock},
        run::prune::{
            conduct::prune_with,
            deeds::Outcome,
            test_world::{World, lock_of},
        },
    };

    fn request(git: &world::World) -> BooksRequest {
        let environment: Environment = git.environment.clone();
        BooksRequest { folder: git.path("clone"), branch: "main".to_owned(), remote: None, environment }
    }

    fn push(git: &world::World, lock: &Lock) {
        let mut chained = Lock::new(lock.image.clone());
        lock.entries.iter().for_each(|entry| lock_file::append(&mut chained, entry.clone()));
        chained.gold = lock.gold;
        git.commit_lock("clone", &chained);
        git.git("clone", &["push", "-q", "origin", "HEAD:main"]);
    }

    #[tokio::test]
    async fn what_the_lock_brought_back_meanwhile_stays() {
        for moves in [&[State::Retired][..], &[State::Retired, State::Gold]] {
            let git = world::World::new();
            let mut world = World::new();
            let (old, bystander) = (world.ami("retired", 400), world.ami("rejected", 400));
            let mut lock = lock_of("base");
            world.lock(&mut lock, &old, &[State::Vetted, State::Retired], None);
            push(&git, &lock);
            let books = Books::open(&request(&git)).await.expect("books");
            let record = Record::read(&books).await.expect("a record");
            let recheck = Recheck::of(&request(&git), &books);
            // Meanwhile somebody moves the run.
            if moves.contains(&State::Gold) {
                lock.entries.clear();
                world.lock(&mut lock, &old, &[State::Vetted, State::Retired, State::Gold], None);
                push(&git, &lock);
            } else {
                git.git("clone", &["commit", "-q", "--allow-empty", "-m", "something else"]);
                git.git("clone", &["push", "-q", "origin", "HEAD:main"]);
            }
            let (events, _heard) = crate::run::Events::channel();
            let cancel = tokio_util::sync::CancellationToken::new();
            let owner = "github.com/example/images";
            let pruned =
                prune_with(&world.cloud, &world.request, (&record, Some(&recheck)), owner, &events, &cancel).await;
            let outcomes = pruned.expect("it can be judged").outcomes.expect("done");
            let of = |id: &crate::model::AmiId| outcomes[&format!("us-east-1:{id}")].clone();
            match moves.contains(&State::Gold) {
                true => {
                    assert!(matches!(of(&old), Outcome::Kept(words) if words.contains("gold of image base by now")))
                }
                false => assert!(matches!(of(&old), Outcome::Done(_)), "the lock says the same as before"),
            }
            assert!(matches!(of(&bystander), Outcome::Done(_)));
        }
    }

    #[tokio::test]
    async fn a_branch_that_cannot_be_asked_any_more_leaves_everything() {
        let git = world::World::new();
        let mut world = World::new();
        let id = world.ami("rejected", 400);
        let books = Books::open(&request(&git)).await.expect("books");
        let recheck = Recheck::of(&request(&git), &books);
        git.git("clone", &["remote", "set-url", "origin", "../gone.git"]);
        let (events, _heard) = crate::run::Events::channel();
        let cancel = tokio_util::sync::CancellationToken::new();
        let record = Record::default();
        let owner = "github.com/example/images";
        let pruned = prune_with(&world.cloud, &world.request, (&record, Some(&recheck)), owner, &events, &cancel).await;
        let pruned = pruned.expect("it can be judged");
        let outcomes = pruned.outcomes.clone().expect("done");
        assert!(matches!(&outcomes[&format!("us-east-1:{id}")], Outcome::Unknown(_)), "{outcomes:?}");
        assert_eq!(pruned.exit(), crate::exit::Exit::Undecided);
        assert_eq!(world.image(&id).expect("there").state, "available");
    }
}
