//! How a component finds the function of a task, and the macro that ties tasks into a plugin.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::failure::BAD_PROPERTY;
use crate::models::unknown_provider;
use crate::{Context, Failure, Manifest, TaskDefinition, from_rendered, unknown_trigger};

/// A task type. `#[task]` writes it.
pub trait Task {
    /// Type, aliases, documentation.
    const DEFINITION: TaskDefinition;
    /// What a flow sets.
    type Properties: DeserializeOwned + JsonSchema;
    /// What a run answers.
    type Outputs: Serialize + JsonSchema;

    /// Runs one attempt.
    fn run(properties: Self::Properties, context: &Context) -> Result<Self::Outputs, Failure>;
}

/// What a task function may return: a result whose error becomes a [`Failure`].
pub trait TaskResult {
    /// What a run answers.
    type Outputs: Serialize + JsonSchema;

    /// The result with the one kind of error.
    fn into_result(self) -> Result<Self::Outputs, Failure>;
}

impl<O: Serialize + JsonSchema, E: Into<Failure>> TaskResult for Result<O, E> {
    type Outputs = O;

    fn into_result(self) -> Result<O, Failure> {
        self.map_err(Into::into)
    }
}

/// A component's task types. `plugin!` writes it.
pub trait Plugin {
    /// What the plugin says about itself, made from its types.
    fn manifest() -> Manifest;

    /// The same as text, as the host asks for it.
    fn describe() -> String;

    /// Runs one attempt of the task type a flow calls `task`.
    fn run(task: &str, input: &str) -> Result<String, Failure>;

    /// Asks the trigger type a flow calls `trigger` whether something happened.
    fn poll(trigger: &str, input: &str, cursor: Option<&str>) -> Result<Option<String>, Failure> {
        let _ = (input, cursor);
        Err(unknown_trigger(trigger))
    }

    /// Has the provider that a flow calls `provider` answer a request.
    fn chat(provider: &str, configuration: &str, request: &str) -> Result<String, Failure> {
        let _ = (configuration, request);
        Err(unknown_provider(provider))
    }
}

/// Reads the properties, runs the task, writes the outputs.
pub fn run_task<T: Task>(input: &str) -> Result<String, Failure> {
    let outputs = T::run(from_rendered(read_properties(input)?)?, &Context::of_this_run())?;
    write_outputs(serde_json::to_string(&outputs))
}

// These two are apart so that a component holds them once, not once for each task type.

pub(crate) fn read_properties(input: &str) -> Result<Value, Failure> {
    serde_json::from_str(input)
        .map_err(|error| Failure::new(BAD_PROPERTY, format!("the properties are no JSON: {error}")))
}

pub(crate) fn write_outputs(outputs: serde_json::Result<String>) -> Result<String, Failure> {
    let outputs = outputs.map_err(|error| Failure::new("BAD_OUTPUT", format!("the outputs are no JSON: {error}")))?;
    // A task without outputs answers `()`.
    Ok(if outputs == "null" { "{}".to_owned() } else { outputs })
}

/// The failure of a task type this plugin does not have: the catalog sent the run to the wrong component.
pub fn unknown_task(task: &str) -> Failure {
    Failure::new("UNKNOWN_TASK", format!("this plugin has no task type `{task}`")).retryable(false)
}

/// Ties task functions into a plugin: `plugin! { tasks: [hello, other::task], title: "Greetings" }`. Name, version and description are
/// the package's; polling triggers come next, `triggers: [inbox]`, then `providers: [parrot]`; the keys behind them are methods of
/// [`Manifest`].
///
/// `plugin! { manifest: "manifest.json", tasks: [...] }` keeps the manifest as a file beside `Cargo.toml`: reviewers see what a change
/// means to users, and the component carries a text in place of the code that makes it, a third of its size. A test it adds fails
/// when the file is not what the types yield; `SLUICE_BLESS=1 cargo test` writes it.
#[macro_export]
macro_rules! plugin {
    (
        manifest: $file:literal, tasks: $tasks:tt, triggers: $triggers:tt, providers: $providers:tt
        $(, $key:ident: $value:expr)* $(,)?
    ) => {
        $crate::__plugin!(
            $tasks $triggers $providers [$($key: $value),*] { $crate::include_compact!($file).to_owned() }
        );

        #[cfg(test)]
        #[test]
        fn committed_manifest_is_what_the_types_yield() {
            $crate::testing::assert_manifest::<Plugin>(concat!(env!("CARGO_MANIFEST_DIR"), "/", $file));
        }
    };
    (
        tasks: $tasks:tt, triggers: $triggers:tt, providers: $providers:tt $(, $key:ident: $value:expr)* $(,)?
    ) => {
        $crate::__plugin!(
            $tasks $triggers $providers [$($key: $value),*] { <Self as $crate::Plugin>::manifest().to_json() }
        );
    };
    ($(manifest: $file:literal,)? tasks: $tasks:tt, triggers: $triggers:tt $(, $key:ident: $value:expr)* $(,)?) => {
        $crate::plugin! { $(manifest: $file,)? tasks: $tasks, triggers: $triggers, providers: [] $(, $key: $value)* }
    };
    ($(manifest: $file:literal,)? tasks: $tasks:tt, providers: $providers:tt $(, $key:ident: $value:expr)* $(,)?) => {
        $crate::plugin! { $(manifest: $file,)? tasks: $tasks, triggers: [], providers: $providers $(, $key: $value)* }
    };
    ($(manifest: $file:literal,)? tasks: $tasks:tt $(, $key:ident: $value:expr)* $(,)?) => {
        $crate::plugin! { $(manifest: $file,)? tasks: $tasks, triggers: [], providers: [] $(, $key: $value)* }
    };
}

/// All forms of `plugin!`.
#[doc(hidden)]
#[macro_export]
macro_rules! __plugin {
    (
        [$($task:path),+ $(,)?] [$($trigger:path),* $(,)?] [$($provider:path),* $(,)?] [$($key:ident: $value:expr),*]
        $describe:block
    ) => {
        /// The task types of this component.
        #[derive(Debug)]
        pub struct Plugin;

        impl $crate::Plugin for Plugin {
            fn manifest() -> $crate::Manifest {
                $crate::Manifest::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), env!("CARGO_PKG_DESCRIPTION"))
                    $(.$key($value))*
                    $(.task::<$task>())+
                    $(.trigger::<$trigger>())*
                    $(.provider::<$provider>())*
            }

            fn describe() -> String $describe

            fn run(task: &str, input: &str) -> ::core::result::Result<String, $crate::Failure> {
                $(if <$task as $crate::Task>::DEFINITION.answers_to(task) {
                    return $crate::run_task::<$task>(input);
                })+
                ::core::result::Result::Err($crate::unknown_task(task))
            }

            fn poll(
                trigger: &str,
                input: &str,
                cursor: ::core::option::Option<&str>,
            ) -> ::core::result::Result<::core::option::Option<String>, $crate::Failure> {
                let _ = (input, cursor);
                $(if <$trigger as $crate::Trigger>::DEFINITION.answers_to(trigger) {
                    return $crate::run_trigger::<$trigger>(input, cursor);
                })*
                ::core::result::Result::Err($crate::unknown_trigger(trigger))
            }

            fn chat(
                provider: &str,
                configuration: &str,
                request: &str,
            ) -> ::core::result::Result<String, $crate::Failure> {
                let _ = (configuration, request);
                $(if <$provider as $crate::models::Provider>::DEFINITION.answers_to(provider) {
                    return $crate::models::run_provider::<$provider>(configuration, request);
                })*
                ::core::result::Result::Err($crate::models::unknown_provider(provider))
            }
        }

        $crate::__component!(Plugin);
    };
}

/// Exports a plugin from a component; nothing on the machine at hand, where tests call it directly.
#[cfg(not(target_family = "wasm"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __component {
    ($plugin:ident) => {};
}

/// Exports a plugin from a component.
#[cfg(target_family = "wasm")]
#[doc(hidden)]
#[macro_export]
macro_rules! __component {
    ($plugin:ident) => {
        const _: () = {
            use $crate::bindings::exports::sluice::task;

            fn failure(failure: $crate::Failure) -> task::run::Failure {
                task::run::Failure {
                    code: failure.code().to_owned(),
                    message: failure.message().to_owned(),
                    retryable: failure.is_retryable(),
                    details: failure.details_json(),
                }
            }

            impl task::describe::Guest for $plugin {
                fn describe() -> String {
                    <$plugin as $crate::Plugin>::describe()
                }
            }

            impl task::run::Guest for $plugin {
                fn run(task: String, input: String) -> ::core::result::Result<String, task::run::Failure> {
                    <$plugin as $crate::Plugin>::run(&task, &input).map_err(failure)
                }
            }

            $crate::__exports!($plugin);
        };
    };
}

/// Exports tasks and triggers.
#[cfg(all(target_family = "wasm", feature = "triggers"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __exports {
    ($plugin:ident) => {
        impl task::poll::Guest for $plugin {
            fn poll(
                trigger: String,
                input: String,
                cursor: ::core::option::Option<String>,
            ) -> ::core::result::Result<::core::option::Option<String>, task::run::Failure> {
                <$plugin as $crate::Plugin>::poll(&trigger, &input, cursor.as_deref()).map_err(failure)
            }
        }

        $crate::exports::export_triggers!($plugin with_types_in $crate::bindings);
    };
}

/// Exports tasks and providers.
#[cfg(all(target_family = "wasm", feature = "providers", not(feature = "triggers")))]
#[doc(hidden)]
#[macro_export]
macro_rules! __exports {
    ($plugin:ident) => {
        impl $crate::bindings::exports::sluice::llm::chat::Guest for $plugin {
            fn chat(
                provider: String,
                configuration: String,
                request: String,
            ) -> ::core::result::Result<String, task::run::Failure> {
                <$plugin as $crate::Plugin>::chat(&provider, &configuration, &request).map_err(failure)
            }
        }

        $crate::exports::export_providers!($plugin with_types_in $crate::bindings);
    };
}

/// Exports tasks alone: a component with neither feature.
#[cfg(all(target_family = "wasm", not(feature = "triggers"), not(feature = "providers")))]
#[doc(hidden)]
#[macro_export]
macro_rules! __exports {
    ($plugin:ident) => {
        $crate::exports::export_tasks!($plugin with_types_in $crate::bindings);
    };
}

#[cfg(all(target_family = "wasm", feature = "triggers", feature = "providers"))]
compile_error!("a component exports triggers or providers, not both: make two plugins of it");
