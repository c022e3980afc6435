//! The renderer of template.yaml.

use coiled_world::policy::template::{Parameters, Place, Template};

/// The expected values follow CloudFormation's documentation. Every other test of the role depends on the renderer.
#[test]
fn the_renderer_computes_functions_as_cloudformation_does() {
    let template = Template::read(
        "Parameters: {Name: {Default: n}, Other: {Default: ''}}\n\
         Conditions: {HasOther: !Not [!Equals [!Ref Other, '']], Both: !And [!Condition HasOther, !Equals [a, a]], \
         Either: !Or [!Condition HasOther, !Equals [a, a]]}\n\
         Resources:\n  R:\n    Properties:\n      ref: !Ref Name\n      region: !Ref AWS::Region\n      \
         sub: !Sub '${Name}-${AWS::AccountId}-${R.Arn}'\n      own: !Sub ['${x}/${Name}', {x: !Ref Name}]\n      \
         join: !Join ['-', [a, !Ref Name]]\n      pick: !Select [1, !Split [':', 'a:b:c']]\n      \
         if: !If [HasOther, yes, no]\n      list: [!If [HasOther, x, !Ref AWS::NoValue], y]\n      \
         gone: !Ref AWS::NoValue\n      both: !If [Both, 1, 2]\n      either: !If [Either, 1, 2]\n  \
         Only: {Condition: HasOther, Properties: {a: b}}\nOutputs: {}\n"
            .to_owned(),
    );
    let place = Place::new("aws", "us-east-1", "111122223333");
    let (none, other) = (Parameters::new(), Parameters::from([("Other".to_owned(), "o".to_owned())]));
    let (without, with) = (template.stack(&none, &place), template.stack(&other, &place));
    assert_eq!(
        without.properties("R"),
        Some(
            serde_json::json!({"ref": "n", "region": "us-east-1", "sub": "n-111122223333-<R.Arn>", "own": "n/n", "join": "a-n",
            "pick": "b", "if": "no", "list": ["y"], "both": 2, "either": 1})
        )
    );
    let properties = with.properties("R").unwrap();
    assert_eq!((&properties["if"], &properties["both"]), (&"yes".into(), &1.into()));
    assert_eq!(properties["list"], serde_json::json!(["x", "y"]));
    assert_eq!((without.properties("Only").is_some(), with.properties("Only").is_some()), (false, true));
    assert_eq!(with.conditions(), ["Both", "Either", "HasOther"]);
}

#[test]
fn the_renderer_panics_on_unknown_functions_and_names() {
    let place = Place::new("aws", "us-east-1", "111122223333");
    for text in
        ["!Base64 x", "!Ref Nobody", "!Ref AWS::Nothing", "!Sub '${Nobody}'", "!GetAtt Nobody.Arn", "!If [No, a, b]"]
    {
        let rendered = std::panic::catch_unwind(|| {
            let text = format!("Parameters: {{}}\nConditions: {{}}\nResources: {{R: {{Properties: {{a: {text}}}}}}}\n");
            Template::read(text).stack(&Parameters::new(), &place).properties("R")
        });
        assert!(rendered.is_err(), "{text} became {rendered:?}");
    }
}
