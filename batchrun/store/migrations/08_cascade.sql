-- Why an answer was not taken, and the next model of the cascade or ladder was asked: what a cascade's rate is measured by.

alter table attempts add column escalated text;
